/** The parts of the page, created in main.ts. */

import type { Cards } from "../lists/cards";
import type { Chart } from "../chart/chart";
import type { Connection } from "./connection";
import type { Controller } from "./controller";
import type { IntervalPicker } from "../dialogs/interval_picker";
import type { DrawScheduler } from "../browser/draw_scheduler";
import type { Live } from "../server/live";
import type { Market } from "../model/market";
import type { Navigation } from "./navigation";
import type { Panels } from "../chart/panels";
import type { PatternList } from "../lists/pattern_list";
import type { Playback } from "./playback";
import type { Series } from "../chart/series";
import type { Settings } from "../browser/settings";
import type { Tape } from "../lists/tape";
import type { TapeFeed } from "../lists/tape_feed";
import type { Watchlist } from "../lists/watchlist";

export interface Parts {
  live: Live;
  playback: Playback;
  market: Market;
  connection: Connection;
  series: Series;
  chart: Chart;
  tape: Tape;
  trades: TapeFeed;
  cards: Cards;
  watchlist: Watchlist;
  intervals: IntervalPicker;
  panels: Panels;
  patterns: PatternList;
  settings: Settings;
  navigation: Navigation;
  controller: Controller;
  scheduler: DrawScheduler;
  /** Requests a full redraw in the next frame. */
  requestDraw(): void;
  /** Whether live data is shown and not a replay. */
  isLive(): boolean;
  /** Whether an additional chart needs a channel. */
  panelsNeed(channel: string): boolean;
  select(symbol: string, timeframe?: string): Promise<void>;
}
