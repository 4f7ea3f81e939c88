// @vitest-environment happy-dom
import { expect, test } from "vitest";

import { headers, protocols, takeToken } from "./token";

test("a token of base64 leaves the address, and is offered in characters that a protocol may hold", () => {
  location.hash = "#token=k3/Zp+0aTq8/9w==";
  takeToken();
  expect(location.hash).toBe("");
  expect(headers().authorization).toBe("Bearer k3/Zp+0aTq8/9w==");
  expect(protocols()).toEqual(["kandle.v1.json", "bearer.k3%2FZp%2B0aTq8%2F9w%3D%3D"]);
});
