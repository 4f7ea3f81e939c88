/** Rules of alerts and what came of them, in the history API. */

import type { Alert } from "./live";
import { json, send } from "./request";
import { headers } from "./token";

/** A rule of alerts in force. */
export interface AlertRule {
  id: string;
  rule: string;
  alerts: number;
  /** Whether it has a sink. */
  posted: boolean;
  /** Whether it is muted. */
  muted: boolean;
}

/** What came of a test at one service. */
export interface Tested {
  target: string;
  sent: boolean;
  reason: string | null;
}

const RULES = "/api/alert-rules";
const of = (id: string): string => `${RULES}?${new URLSearchParams({ id })}`;

export async function alertRules(): Promise<AlertRule[]> {
  return (await json<AlertRule[]>(RULES)) ?? [];
}

/** Add a rule; returns what should be known of it. Throws why it is none. */
export async function addRule(rule: string): Promise<string | null> {
  return (await send<{ note: string | null }>("POST", RULES, { rule }))!.note;
}

/** Put another rule in a rule's place; returns what should be known of it. Throws why it is none. */
export async function changeRule(id: string, rule: string): Promise<string | null> {
  return (await send<{ note: string | null }>("PATCH", of(id), { rule }))!.note;
}

/** Mute or unmute a rule. Throws the reason of a failure. */
export async function muteRule(id: string, muted: boolean): Promise<void> {
  await send("PATCH", of(id), { muted });
}

/** Notify the services of a rule, or all without one, now; returns what came of it at each. */
export async function testRule(rule?: string): Promise<Tested[]> {
  return (await send<{ targets: Tested[] }>("POST", `${RULES}/test`, rule ? { rule } : {}))!.targets;
}

/** Take a rule out of force. Throws why it stays. */
export async function removeRule(id: string): Promise<void> {
  const answer = await fetch(of(id), { method: "DELETE", headers: headers() });
  if (!answer.ok && answer.status !== 404) throw new Error(`the rule is still in force: ${answer.status}`);
}

export interface AlertPage {
  alerts: Alert[];
  /** Where the next page begins; null where there is none. */
  next: string | null;
}

/** A page of alerts of all symbols, the newest first; `rule`: of one rule, by its id. */
export async function alerts(rule?: string, cursor?: string): Promise<AlertPage> {
  const asked = new URLSearchParams({ limit: "100", ...(rule ? { rule } : {}), ...(cursor ? { cursor } : {}) });
  return (await json<AlertPage>(`/api/alerts?${asked}`)) ?? { alerts: [], next: null };
}
