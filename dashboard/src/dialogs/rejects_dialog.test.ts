import { expect, test } from "vitest";

import { summarize, excerpt, total, type Reject } from "./rejects_dialog";

const reject: Reject = { received: 1, code: "bad_price", detail: "price: above 0", original: "A,-1", bytes: 4, source: "udp-1" };
const counts = [{ code: "bad_price", source: "udp", rejects: 1_200, newest: 1 }, { code: "empty", source: "http", rejects: 34, newest: 1 }];

test("the summary totals all reasons, with the commands to handle them", () => {
  expect(total({ counts, rejects: [] })).toBe(1_234);
  expect(summarize({ counts, rejects: [] }, { count: 2, letters: [] })).toBe("1,234 rejects in 24 hours. To retry them after a fix: kandle rejects replay. 2 dead letters: kandle dlq list, kandle dlq replay.");
  expect(summarize({ counts: [], rejects: [] }, undefined)).toBe("No rejects in 24 hours. No dead letters.");
});

test("original input is shown in full if short, otherwise truncated with its size", () => {
  expect(excerpt(reject)).toBe("A,-1");
  expect(excerpt({ ...reject, bytes: 5_000 })).toBe("A,-1… (5,000 bytes)");
  expect(excerpt({ ...reject, original: "9".repeat(300), bytes: 300 })).toBe(`${"9".repeat(120)}… (300 bytes)`);
});
