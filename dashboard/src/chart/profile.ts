/** Volume profile of the visible range, drawn at the chart's right edge. */

import type { IPrimitivePaneView, ISeriesApi, ISeriesPrimitive, SeriesAttachedParameter, Time } from "lightweight-charts";

import { color } from "../browser/theme";
import type { Level } from "../model/messages";

const WIDTH_SHARE = 0.22;
const LEVELS = 48;

export class Profile implements ISeriesPrimitive<Time> {
  /** Whether the profile is drawn. */
  isOn = false;
  levels: Level[] = [];
  private step = 0;
  private series: ISeriesApi<"Candlestick"> | undefined;
  private redraw: (() => void) | undefined;

  attached({ series, requestUpdate }: SeriesAttachedParameter<Time>): void {
    this.series = series as ISeriesApi<"Candlestick">;
    this.redraw = requestUpdate;
  }

  /** Draws levels that are `step` high. */
  setLevels(levels: Level[], step: number): void {
    this.levels = levels;
    this.step = step;
    this.redraw?.();
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return [{
      zOrder: () => "bottom",
      renderer: () => ({
        draw: (target) => target.useMediaCoordinateSpace(({ context, mediaSize }) => {
          const largest = Math.max(...this.levels.map(({ volume }) => volume));
          for (const { price, volume, bought, sold } of this.levels) {
            const [low, high] = [this.series?.priceToCoordinate(price), this.series?.priceToCoordinate(price + this.step)];
            if (low == null || high == null || !largest) continue;
            const unit = (mediaSize.width * WIDTH_SHARE) / largest;
            const height = Math.max(1, low - high - 1);
            let right = mediaSize.width;
            const strength = volume === largest ? "99" : "44"; // highlight the point of control
            for (const [name, size] of [["--up", bought], ["--down", sold], ["--muted", volume - bought - sold]] as const) {
              context.fillStyle = `${color(name)}${strength}`;
              context.fillRect(right - size * unit, high, size * unit, height);
              right -= size * unit;
            }
          }
        }),
      }),
    }];
  }
}

/** Returns a step of 1, 2 or 5 times a power of ten that divides a price range into at most ROWS levels; 0 for an empty range. */
export function stepFor(low: number, high: number): number {
  const minStep = (high - low) / LEVELS;
  if (!(minStep > 0) || !Number.isFinite(minStep)) return 0;
  const unit = 10 ** Math.floor(Math.log10(minStep));
  return Number(([1, 2, 5, 10].find((each) => each * unit >= minStep)! * unit).toPrecision(1));
}
