// @vitest-environment happy-dom
import { expect, test } from "vitest";

import { headers, protocols, storeToken } from "./token";

test("a base64 token is removed from the URL, and encoded for the subprotocol", () => {
  location.hash = "#token=k3/Zp+0aTq8/9w==";
  storeToken();
  expect(location.hash).toBe("");
  expect(headers().authorization).toBe("Bearer k3/Zp+0aTq8/9w==");
  expect(protocols()).toEqual(["kandle.v1.json", "bearer.k3%2FZp%2B0aTq8%2F9w%3D%3D"]);
});
