import { describe, expect, it } from "vitest";

import { axisNumber, change, compact, decimal, decimals, price, duration, rounded, shortPrice } from "./format";

describe("format", () => {
  it("keeps every digit of a decimal string", () => {
    expect(decimal("61845.680000000001")).toBe("61,845.680000000001");
    expect(decimal("123456789012345678901234567890")).toBe("123,456,789,012,345,678,901,234,567,890");
    expect(decimal("0.001")).toBe("0.001");
  });

  it("pads prices to the market's decimals, and truncates none", () => {
    expect(price("100.1", 2)).toBe("100.10");
    expect(price("100", 2)).toBe("100.00");
    expect(price("100.123", 2)).toBe("100.123");
    expect(price("100", 0)).toBe("100");
    expect(price("100.5", 0)).toBe("100.5");
  });

  it("formats changes and durations", () => {
    expect(change(101, 100)).toBe("+1.00 %");
    expect(change(99, 100)).toBe("−1.00 %");
    expect(change(99, undefined)).toBe("–");
    expect([decimals("1.250"), decimals("7")]).toEqual([3, 0]);
    expect([duration(1_400), duration(300_000), duration(7_200_000 * 2), duration(9 * 86_400_000)]).toEqual(["1 s", "5 min", "4 h", "9 d"]);
  });

  it("shows no digit that a double does not keep, and rounds decimal strings exactly", () => {
    expect([axisNumber(0.1, 18), axisNumber(61_845.678, 2), axisNumber(0, 2), axisNumber(1.5e16, 8)]).toEqual(["0.100000000000000", "61,845.68", "0.00", "15,000,000,000,000,000"]);
    expect([rounded("0.0835714737801624864", 18), rounded("-64.0366", 2), rounded("12345", 2)]).toEqual(["0.083571473780162486", "-64.04", "12,345.00"]);
  });

  it("rounds a price that is too long for the list, and says so", () => {
    expect([shortPrice("61845.68", 2), shortPrice("61845.68000000", 8), shortPrice("100.159829195044922456", 18)]).toEqual(["61,845.68", "61,845.68", "≈ 100.15983"]);
    expect([shortPrice("0.000000000000000006", 18), shortPrice("-999999999999999999999999999999.5", 1)]).toEqual(["≈ 6e-18", "≈ -1e+30"]);
  });

  it("shortens large volumes and keeps small ones", () => {
    expect([1_234_567, 64.05245, 0.00012, 0].map(compact)).toEqual(["1.235M", "64.05", "0.00012", "0"]);
  });
});
