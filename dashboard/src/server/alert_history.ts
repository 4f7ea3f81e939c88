/** Client of the history API for alert rules and their alerts. */

import { getJson, send } from "./request";
import { headers } from "./token";
import type { Alert } from "../model/messages";

/** An active alert rule. */
export interface AlertRule {
  id: string;
  rule: string;
  alerts: number;
  /** Whether alerts are posted to a sink. */
  posted: boolean;
  muted: boolean;
}

/** The result of a test notification for one service. */
export interface TestResult {
  target: string;
  sent: boolean;
  reason: string | null;
}

const RULES = "/api/alert-rules";
const urlOf = (id: string): string => `${RULES}?${new URLSearchParams({ id })}`;

export async function fetchRules(): Promise<AlertRule[]> {
  return (await getJson<AlertRule[]>(RULES)) ?? [];
}

/** Adds a rule and returns the server's note, if any. Throws an error with the reason if the rule is invalid. */
export async function addRule(rule: string): Promise<string | null> {
  return (await send<{ note: string | null }>("POST", RULES, { rule }))!.note;
}

/** Replaces a rule and returns the server's note, if any. Throws an error with the reason if the rule is invalid. */
export async function changeRule(id: string, rule: string): Promise<string | null> {
  return (await send<{ note: string | null }>("PATCH", urlOf(id), { rule }))!.note;
}

/** Mutes or unmutes a rule. Throws an error with the reason if the request fails. */
export async function muteRule(id: string, muted: boolean): Promise<void> {
  await send("PATCH", urlOf(id), { muted });
}

/** Sends a test notification to the services of a rule, or to all services, and returns the result for each. */
export async function testRule(rule?: string): Promise<TestResult[]> {
  return (await send<{ targets: TestResult[] }>("POST", `${RULES}/test`, rule ? { rule } : {}))!.targets;
}

/** Deletes a rule. Throws if the request fails. */
export async function removeRule(id: string): Promise<void> {
  const response = await fetch(urlOf(id), { method: "DELETE", headers: headers() });
  if (!response.ok && response.status !== 404) throw new Error(`the rule was not removed: ${response.status}`);
}

export interface AlertPage {
  alerts: Alert[];
  /** Cursor of the next page; null on the last page. */
  next: string | null;
}

/** Fetches a page of alerts, newest first, for all rules or for the rule with the given id. */
export async function fetchAlerts(rule?: string, cursor?: string): Promise<AlertPage> {
  const query = new URLSearchParams({ limit: "100", ...(rule ? { rule } : {}), ...(cursor ? { cursor } : {}) });
  return (await getJson<AlertPage>(`/api/alerts?${query}`)) ?? { alerts: [], next: null };
}
