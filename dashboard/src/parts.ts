/** The parts of the page, created in main.ts. */

import type { Cards } from "./cards";
import type { Chart } from "./chart";
import type { Connection } from "./connection";
import type { Desk } from "./desk";
import type { FramePicker } from "./frame_picker";
import type { Frames } from "./frames";
import type { Live } from "./live";
import type { Market } from "./market";
import type { Navigation } from "./navigation";
import type { Panels } from "./panels";
import type { PatternList } from "./pattern_list";
import type { Playback } from "./playback";
import type { Series } from "./series";
import type { Settings } from "./settings";
import type { Tape } from "./tape";
import type { Trades } from "./trades";
import type { Watchlist } from "./watchlist";

export interface Parts {
  live: Live;
  playback: Playback;
  market: Market;
  connection: Connection;
  series: Series;
  chart: Chart;
  tape: Tape;
  trades: Trades;
  cards: Cards;
  watchlist: Watchlist;
  frames: FramePicker;
  panels: Panels;
  patterns: PatternList;
  settings: Settings;
  navigation: Navigation;
  desk: Desk;
  painting: Frames;
  /** Requests a full redraw in the next frame. */
  touch(): void;
  /** Whether live data is shown and not a replay. */
  isLive(): boolean;
  /** Whether an additional chart needs a channel. */
  wants(channel: string): boolean;
  choose(symbol: string, timeframe?: string): Promise<void>;
}
