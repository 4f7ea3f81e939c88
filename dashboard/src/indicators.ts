/** Lines over and under the candles (trading-signals), computed for what is drawn. */

import type { Candle } from "./candles";
import { BollingerBands, EMA, RSI, SMA } from "trading-signals";

export interface Point {
  t: number;
  value: number;
}

export interface Line {
  name: string;
  color: string;
  /** 0: over the candles; those of one other number share a pane under them. */
  pane: number;
  /** Drawn as columns, by their sign. */
  columns?: boolean;
  points: Point[];
}

export const INDICATORS: Record<string, { title: string; lines: (closes: Point[], candles: Candle[]) => Line[] }> = {
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
  delta: { title: "Delta", lines: (_, candles) => delta(candles) },
};

const DAY_MS = 86_400_000;

/** Bought less sold volume of each candle, and its sum since the start of the UTC day. */
function delta(candles: Candle[]): Line[] {
  const points = candles.map(({ t, bv, sv }) => ({ t, value: Number(bv) - Number(sv) }));
  let sum = 0;
  let day = NaN;
  const sums = points.map(({ t, value }) => {
    const today = Math.floor(t / DAY_MS);
    sum = today === day ? sum + value : value;
    day = today;
    return { t, value: sum };
  });
  return [
    { name: "Delta", color: "--muted", pane: 2, columns: true, points },
    { name: "Delta, day", color: "--line-2", pane: 2, points: sums },
  ];
}

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
