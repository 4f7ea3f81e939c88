/** Lines over the candles (trading-signals), computed for what is drawn. */

import { BollingerBands, EMA, RSI, SMA } from "trading-signals";

export interface Point {
  t: number;
  value: number;
}

export interface Line {
  name: string;
  color: string;
  pane: number;
  points: Point[];
}

export const INDICATORS: Record<string, { title: string; lines: (closes: Point[]) => Line[] }> = {
  sma20: { title: "SMA 20", lines: (c) => [line("SMA 20", "--line-1", 0, c, new SMA(20))] },
  ema50: { title: "EMA 50", lines: (c) => [line("EMA 50", "--line-2", 0, c, new EMA(50))] },
  bb20: {
    title: "BB 20",
    lines: (closes) => {
      const bands = new BollingerBands(20, 2);
      const upper: Point[] = [];
      const lower: Point[] = [];
      for (const { t, value } of closes) {
        const found = bands.add(value);
        if (found) {
          upper.push({ t, value: found.upper });
          lower.push({ t, value: found.lower });
        }
      }
      return [
        { name: "BB upper", color: "--line-3", pane: 0, points: upper },
        { name: "BB lower", color: "--line-3", pane: 0, points: lower },
      ];
    },
  },
  rsi14: { title: "RSI 14", lines: (c) => [line("RSI 14", "--line-4", 1, c, new RSI(14))] },
};

interface Indicator {
  add(value: number): number | null;
}

function line(name: string, color: string, pane: number, closes: Point[], by: Indicator): Line {
  const points: Point[] = [];
  for (const { t, value } of closes) {
    const found = by.add(value);
    if (found !== null) points.push({ t, value: found });
  }
  return { name, color, pane, points };
}
