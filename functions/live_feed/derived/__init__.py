"""What is made for who watches: longer candles, information bars and indicators."""
