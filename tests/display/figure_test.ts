import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { makeAxis } from "../../lib/display/axis.ts";
import { type Figure, type Series, thinFigure } from "../../lib/display/figure.ts";
import { display, FIGURE_BYTES, JUPYTER_DISPLAY, notebookBytes } from "../../lib/display/notebook.ts";
import { darkColours, styleOf } from "../../lib/display/palette.ts";
import { plotlyFigure } from "../../lib/display/plotly.ts";
import { svgFigure } from "../../lib/display/svg.ts";

const olora: Series = {
  name: "OLoRA",
  role: "olora",
  x: [0, 1, 2],
  y: [3, 2, 1],
  low: [2, 1, 0],
  high: [4, 3, 2],
};
const figure = (series: Series[], panel = {}): Figure => ({
  title: 'Loss & <"quotes">',
  caption: "A caption.",
  panels: [{ xLabel: "steps", yLabel: "loss", series, ...panel }],
});

const labels = (low: number, high: number, scale: "linear" | "log", count: number) =>
  makeAxis(low, high, scale, count).ticks.map(({ label }) => label);

Deno.test("makeAxis() chooses ticks people would write", () => {
  assertEquals(labels(0, 2000, "linear", 5), ["0", "500", "1,000", "1,500", "2,000"]);
  assertEquals(labels(1.93, 4.3, "linear", 5), ["2.0", "2.5", "3.0", "3.5", "4.0"]);
  assertEquals(labels(-0.2, 0.2, "linear", 4), ["−0.2", "−0.1", "0.0", "0.1", "0.2"]);
  assertEquals(labels(1e-5, 1e-1, "log", 6), ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]);
  assertEquals(labels(1e-3, 1e-2, "log", 6), ["0.001", "0.002", "0.005", "0.01"]);
  assertEquals(labels(1e-9, 1e9, "log", 5), ["10⁻⁹", "10⁻⁵", "10⁻¹", "10³", "10⁷"]);
});

Deno.test("makeAxis() places values between its ends, and survives ends that meet", () => {
  const axis = makeAxis(1e-4, 1e-2, "log", 3);
  assert(Math.abs(axis.place(1e-3) - 0.5) < 1e-12);
  assertEquals(makeAxis(2, 2, "linear", 3).place(2), 0.5);
});

Deno.test("svgFigure() uses presentation attributes only and escapes text", () => {
  const svg = svgFigure(
    figure([olora], { marks: [{ x: 1, label: "here" }, { y: 2, label: "there" }, { x: 2, y: 1 }] }),
  );
  const elements = new Set([...svg.matchAll(/<(\w+)/g)].map((match) => match[1]));
  assertEquals([...elements].sort(), ["circle", "desc", "g", "path", "rect", "svg", "text", "title"]);
  assert(!/ (style|class|id|href|on\w+)=/.test(svg));
  assertStringIncludes(svg, "<title>Loss &amp; &lt;&quot;quotes&quot;&gt;</title>");
  assertStringIncludes(svg, "OLoRA: from 3 at 0 to 1 at 2, lowest 1 at 2.");
  assert(!svg.includes("NaN"));
});

Deno.test("svgFigure() cuts a curve at the ends of the y axis and breaks it at gaps", () => {
  const y = [5, 1, 1, NaN, 1, 1];
  const series = { name: "a", role: "lora", x: [0, 1, 2, 3, 4, 5], y };
  const svg = svgFigure(figure([series], { yRange: [0, 3] }));
  const lines = [...svg.matchAll(/<path d="(M[^"]+)" stroke="#d55e00" stroke-width="2.2"/g)].map((match) =>
    match[1]
  );
  assertEquals(lines.length, 1);
  const pieces = lines[0].split("M").filter(Boolean).map((piece) => piece.split("L"));
  assertEquals(pieces.map((piece) => piece.length), [3, 2]);
  const [left] = [...svg.matchAll(/<path d="M(\S+) (\S+)H/g)].at(-1)!.slice(1).map(Number);
  const right = Number(svg.match(/H([\d.]+)"/)![1]);
  // Half of the first segment lies above 3.
  assert(Math.abs(Number(pieces[0][0].split(" ")[0]) - (left + (right - left) / 10)) < 0.2);
});

Deno.test("svgFigure() and plotlyFigure() refuse arrays of unequal length and zeros on a log axis", () => {
  for (const draw of [svgFigure, plotlyFigure]) {
    assertThrows(
      () => draw(figure([{ ...olora, y: [1] }])),
      RangeError,
      "got 1 values of y, expected 3 as in x",
    );
    assertThrows(() => draw(figure([olora], { xScale: "log" })), RangeError, "got x = 0, expected > 0");
  }
});

Deno.test("svgFigure() draws an empty panel and a single point", () => {
  assertStringIncludes(svgFigure(figure([])), "<svg");
  const point = svgFigure(figure([{ name: "a", role: "full", x: [3], y: [1] }]));
  assert(!point.includes("NaN") && point.includes(styleOf("full").light));
});

Deno.test("plotlyFigure() holds the same numbers, with gaps as null", () => {
  const { data, layout } = plotlyFigure(figure([{ ...olora, y: [3, NaN, 1] }]));
  assertEquals(data.length, 3);
  assertEquals(data[2].y, [3, null, 1]);
  assertEquals([data[0].y, data[1].y], [olora.low, olora.high]);
  assertEquals((layout.xaxis as { domain: number[] }).domain, [0, 1]);
});

Deno.test("plotlyFigure() puts the ends and marks of a log axis in powers of ten", () => {
  const series = {
    name: "a",
    role: "lora",
    x: [1e-3, 1e-1],
    y: [1, 2],
    points: true,
    low: [0, 1],
    high: [2, 4],
  };
  const { data, layout } = plotlyFigure(
    figure([series], { xScale: "log", marks: [{ x: 1e-2, label: "middle" }] }),
  );
  const [low, high] = (layout.xaxis as { range: number[] }).range;
  assert(low < -3 && low > -3.2 && high > -1 && high < -0.8);
  assertEquals((layout.annotations as { x: number }[])[1].x, -2);
  assertEquals((layout.shapes as { x0: number }[])[0].x0, 1e-2);
  assertEquals((data[0].error_y as { array: number[] }).array, [1, 2]);
});

Deno.test("thinFigure() keeps ends and spikes, says so, and leaves small figures alone", () => {
  const x = Array.from({ length: 5000 }, (_, i) => i);
  const y = x.map((i) => i === 1234 ? 50 : Math.sin(i / 300));
  const thinned = thinFigure(figure([{ name: "a", role: "lora", x, y, low: y, high: y }]), 100);
  const series = thinned.panels[0].series[0];
  assertEquals(series.x.length, 100);
  assertEquals([series.x[0], series.x[99]], [0, 4999]);
  assert(series.x.includes(1234));
  assertEquals(series.low, series.y);
  assert(series.x.every((value, i) => i === 0 || value > series.x[i - 1]));
  assertStringIncludes(thinned.caption, "at most 100 of 5000 points a curve");
  const small = figure([olora]);
  assertEquals(thinFigure(small, 100), small);
});

Deno.test("display() bundles both views of a figure in under 200 kB of notebook", () => {
  const x = Array.from({ length: 20_000 }, (_, i) => i);
  const y = x.map((i) => Math.sin(i * i));
  const series = ["olora", "lora", "full", "pissa"].map((role) => ({
    name: role,
    role,
    x,
    y,
    low: y,
    high: y,
  }));
  const bundle = display({ ...figure(series), title: "Large" })[JUPYTER_DISPLAY]();
  assertEquals(Object.keys(bundle), ["application/vnd.plotly.v1+json", "image/svg+xml", "text/plain"]);
  assert(notebookBytes(bundle) <= FIGURE_BYTES);
  const traces = (bundle["application/vnd.plotly.v1+json"] as { data: { x: number[] }[] }).data;
  const note = (bundle["text/plain"] as string).match(/at most (\d+) of 20000/);
  assertEquals(Number(note?.[1]), traces[0].x.length);
  assertStringIncludes(bundle["image/svg+xml"] as string, note![0]);
  assertEquals(JUPYTER_DISPLAY, Symbol.for("Jupyter.display"));
});

function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16) / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

Deno.test("styleOf() gives curves a contrast of 3:1 on both grounds, and each method a marker of its own", () => {
  const contrast = (a: string, b: string) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const roles = [
    "olora",
    "lora",
    "full",
    "olora-freeze-B",
    "olora-freeze-A",
    "pissa",
    "unknown",
    "constructor",
  ];
  for (const role of roles) {
    const { light, dark } = styleOf(role);
    assert(contrast(light, "#ffffff") >= 3, `${role} ${light}`);
    assert(contrast(dark, darkColours()["#ffffff"]) >= 3, `${role} ${dark}`);
  }
  assertEquals(new Set(roles.slice(0, 6).map((role) => styleOf(role).marker)).size, 6);
  assertEquals(styleOf("constructor"), styleOf());
});

const named: Figure = figure([{ ...olora, points: true, x: [1, 2, 3] }], {
  xNames: ["first", "a name of some length", "third"],
});

Deno.test("svgFigure() writes names in place of numbers, with room for the longest, and needs no legend", () => {
  const svg = svgFigure(named);
  assertStringIncludes(svg, "first</text>");
  assertStringIncludes(svg, "OLoRA: from 3 at first to 1 at third, lowest 1 at third.");
  assertEquals(svg.match(/>OLoRA<\/text>/), null);
  const height = (drawn: string) => Number(drawn.match(/height="(\d+)"/)![1]);
  const short = svgFigure(figure(named.panels[0].series as Series[], { xNames: ["a", "b", "c"] }));
  assert(height(svg) > height(short) + 60);
});

Deno.test("plotlyFigure() has the same names, aslant, and a caption below them", () => {
  const { layout } = plotlyFigure(named);
  const { tickvals, ticktext, range } = layout.xaxis as Record<string, unknown[]>;
  assertEquals([tickvals, ticktext, range], [[1, 2, 3], named.panels[0].xNames, [0.5, 3.5]]);
  const shift = ({ layout }: ReturnType<typeof plotlyFigure>) =>
    (layout.annotations as { yshift: number }[])[0].yshift;
  assert(shift(plotlyFigure(named)) < shift(plotlyFigure(figure([olora]))) - 60);
});

Deno.test("styleOf() gives variants that a figure shows together colours and markers of their own", () => {
  const together = [
    ["olora", "lora", "olora-basis-last", "olora-basis-pivoted", "olora-basis-random"],
    ["olora", "lora", "olora-basis-rows", "pissa"],
    ["olora", "lora", "olora-balance-4", "olora-balance-0.25", "lora-norm-olora"],
    ["olora", "lora", "olora-freeze-A", "olora-freeze-B", "olora-keep-orthonormal", "olora-subtract-false"],
    ["olora", "lora", "full", "olora-freeze-B", "olora-keep-orthonormal"],
    ["olora", "lora", "pissa", "rslora", "lora+"],
  ];
  for (const roles of together) {
    for (const look of ["light", "marker"] as const) {
      assertEquals(new Set(roles.map((role) => styleOf(role)[look])).size, roles.length, `${roles} ${look}`);
    }
  }
});

Deno.test("svgFigure() writes what a line says on top of the curves that cross it", () => {
  const svg = svgFigure(figure([olora], { marks: [{ y: 2, label: "a line" }] }));
  assert(svg.indexOf("a line</text>") > svg.lastIndexOf(styleOf("olora").light));
});
