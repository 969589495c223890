import { assertEquals, assertThrows } from "@std/assert";
import { display, JUPYTER_DISPLAY } from "../../lib/display/notebook.ts";
import {
  formatFixed,
  formatNumber,
  htmlTable,
  markdownTable,
  type Table,
  textTable,
} from "../../lib/display/table.ts";

const table: Table = {
  title: "Losses",
  columns: ["method", "loss", "a|b"],
  rows: [["olora", 2.03125, null], ["<b>", -1234.5, "x"]],
  note: "In nats.",
};

Deno.test("textTable() aligns names left and figures right", () => {
  assertEquals(
    textTable(table),
    [
      "Losses",
      "",
      "method    loss  a|b",
      "───────────────────",
      "olora    2.031    –",
      "<b>     −1,235    x",
      "",
      "In nats.",
    ].join("\n"),
  );
});

Deno.test("markdownTable() escapes bars", () => {
  assertEquals(markdownTable({ ...table, title: undefined as never, note: undefined as never }).split("\n"), [
    "| method | loss | a\\|b |",
    "| --- | ---: | ---: |",
    "| olora | 2.031 | – |",
    "| <b> | −1,235 | x |",
  ]);
});

Deno.test("htmlTable() escapes markup and marks heads", () => {
  const html = htmlTable(table);
  assertEquals(html.match(/<th /g)?.length, 5);
  assertEquals(html.includes("<b>"), false);
  assertEquals(html.includes(">&lt;b&gt;</th>"), true);
});

Deno.test("textTable() refuses a row of the wrong length", () => {
  assertThrows(
    () => textTable({ columns: ["a"], rows: [["x", 1]] }),
    RangeError,
    "row x: got 2 cells, expected 1",
  );
});

Deno.test("formatNumber() keeps significant digits, groups thousands, and uses powers at the extremes", () => {
  const cases: [number, string][] = [
    [0, "0"],
    [96256, "96,256"],
    [2.03125, "2.031"],
    [-0.5, "−0.5000"],
    [9.9999, "10.00"],
    [12345.6, "12,346"],
    [0.00001234, "1.234e−5"],
    [1.5e20, "1.500e20"],
    [NaN, "–"],
    [-Infinity, "−∞"],
  ];
  for (const [x, text] of cases) assertEquals(formatNumber(x), text);
  assertEquals(formatFixed(-1234.567, 1), "−1,234.6");
});

Deno.test("display() gives a table as HTML and as text without ANSI codes", () => {
  const bundle = display(table)[JUPYTER_DISPLAY]();
  assertEquals(Object.keys(bundle), ["text/html", "text/plain"]);
  assertEquals((bundle["text/plain"] as string).includes("\x1b"), false);
});
