/** The report in headless Chromium: drawn without errors, at both widths, in both colour schemes, and without scripts. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Page } from "npm:playwright-core@1.65.1";
import plotly from "npm:plotly.js-basic-dist-min@4.1.1/plotly-basic.min.js" with { type: "text" };
import { convergenceFigure, convergenceTable, rateFigure, rateStops } from "../../lib/display/convergence.ts";
import { darkColours, styleOf } from "../../lib/display/palette.ts";
import { report, type ReportOptions } from "../../lib/display/report.ts";
import { runsAtBestRate, runsAtRate } from "../../lib/display/rows.ts";
import { convergenceVerdicts, replicationNote } from "../../lib/display/verdicts.ts";
import { syntheticRows } from "../display/synthetic_rows.ts";
import { browser, launch, openPage } from "./chromium.ts";

const AUTHOR_RATE = 3e-4;
const rows = syntheticRows();
const live = syntheticRows(3, 400).filter(({ config }) =>
  runsAtBestRate(rows).some(({ method, rate }) => method === config.method && rate === config.learningRate)
);

const options: ReportOptions = {
  title: "OLoRA beside LoRA and full fine-tuning (synthetic rows)",
  lead: "Invented rows that test the page; nothing here was measured. </script><b>not markup</b>",
  device: "synthetic device",
  isSoftware: true,
  facts: { Date: "2026-01-01", Version: "0.0.0", Steps: "2,000" },
  verdicts: convergenceVerdicts(rows, AUTHOR_RATE),
  verdictNote: replicationNote(rows),
  figures: [convergenceFigure(rows, AUTHOR_RATE, live)],
  rates: { figure: rateFigure(rows), stops: rateStops(rows) },
  tables: [
    convergenceTable(runsAtBestRate(rows), "Each method at its own best rate"),
    convergenceTable(runsAtRate(rows, AUTHOR_RATE), "All at the author's rate"),
  ],
  rerun: "deno task reproduce",
  plotly,
};

const html = report(options);
const routes = { "/": { body: html, type: "text/html; charset=utf-8" } };
const PLOTS = ["plot-0-0", "plot-0-1", "plot-rate-curves", "plot-rates"];

async function openReport(width: number, scheme: "light" | "dark") {
  const chrome = await launch();
  const opened = await openPage({
    async newPage() {
      const page = await chrome.newPage({ viewport: { width, height: 900 }, colorScheme: scheme });
      return page;
    },
  }, routes);
  await opened.page.waitForSelector("html[data-drawn]");
  return {
    ...opened,
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      await chrome.close();
    },
  };
}

/** Shapes of the curves of a plot, as drawn. */
function curves(page: Page, id: string): Promise<string[]> {
  return page.locator(`#${id} .scatterlayer path.js-line`).evaluateAll((lines) =>
    lines.map((line) => `${line.getAttribute("d")} ${line.getAttribute("style")}`)
  );
}

/** Pairs of texts that lie on one another, texts that leave their plot, and boxes that leave the page. */
function collisions(page: Page): Promise<string[]> {
  return page.evaluate(`(() => {
    const found = [];
    const box = (node) => {
      const range = document.createRange();
      range.selectNodeContents(node);
      return (node instanceof SVGElement ? node : range).getBoundingClientRect();
    };
    const texts = [...document.querySelectorAll("h1, h2, h3, p, li, td, th, label, output, input, figcaption, pre, .legend, svg text, .plot")]
      .filter((node) => node.checkVisibility() && (node.textContent.trim() || node.matches("input, .plot")));
    const items = texts.map((node) => ({ node, box: node.matches("input, .plot") ? node.getBoundingClientRect() : box(node) }))
      .filter(({ box }) => box.width > 0 && box.height > 0);
    for (const [i, a] of items.entries()) {
      for (const b of items.slice(i + 1)) {
        if (a.node.contains(b.node) || b.node.contains(a.node)) continue;
        const wide = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
        const high = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
        if (wide > 1 && high > 1) found.push(a.node.textContent.slice(0, 40) + " on " + b.node.textContent.slice(0, 40));
      }
      const plot = a.node.closest("svg") && a.node.closest(".plot");
      const frame = plot ? plot.getBoundingClientRect() : { left: 0, right: innerWidth, top: -1e9, bottom: 1e9 };
      const { left, right, top, bottom } = a.box;
      if (left < frame.left - 1 || right > frame.right + 1 || top < frame.top - 1 || bottom > frame.bottom + 1) {
        found.push(a.node.textContent.slice(0, 40) + " leaves its frame");
      }
    }
    if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways");
    return found;
  })()`);
}

for (const [width, scheme] of [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]] as const) {
  Deno.test({
    name: `report() draws every figure without an error or an overlap at ${width} px, ${scheme}`,
    ignore: browser.ignore,
    async fn() {
      await using opened = await openReport(width, scheme);
      const { page, errors } = opened;
      for (const id of PLOTS) assert((await curves(page, id)).length >= 3, `${id} has no curves`);
      assertEquals(await collisions(page), []);
      const requested = await page.evaluate(
        `performance.getEntriesByType("resource").map(({ name }) => name)`,
      );
      assertEquals((requested as string[]).filter((name) => !name.startsWith("data:")), []);
      const { light, dark } = styleOf("lora");
      const [red, green, blue] = [1, 3, 5].map((i) =>
        parseInt((scheme === "light" ? light : dark).slice(i, i + 2), 16)
      );
      assert(
        (await curves(page, "plot-0-0")).some((line) => line.includes(`rgb(${red}, ${green}, ${blue})`)),
      );
      assertEquals(errors, []);
    },
  });
}

Deno.test({
  name: "report() redraws the curves of all methods as the slider moves, by keyboard too",
  ignore: browser.ignore,
  async fn() {
    await using opened = await openReport(1280, "light");
    const { page, errors } = opened;
    const seen = new Set<string>();
    for (const [i, { sentence }] of options.rates!.stops.entries()) {
      await page.locator("#rate").fill(String(i));
      await page.waitForFunction(
        `document.getElementById("rate-sentence").textContent === ${JSON.stringify(sentence)}`,
      );
      await page.waitForTimeout(50);
      seen.add(JSON.stringify(await curves(page, "plot-rate-curves")));
      assertEquals(await collisions(page), []);
    }
    assertEquals(seen.size, options.rates!.stops.length);
    const before = await page.locator("#rate-name").textContent();
    await page.locator("#rate").press("ArrowLeft");
    assert(await page.locator("#rate-name").textContent() !== before);
    assertEquals(errors, []);
  },
});

Deno.test({
  name: "report() follows a change of the colour scheme while it is open",
  ignore: browser.ignore,
  async fn() {
    await using opened = await openReport(1280, "light");
    const { page, errors } = opened;
    const ground = () =>
      page.locator("#plot-rates .main-svg").first().evaluate((svg) => svg.getAttribute("style"));
    assertStringIncludes(await ground() ?? "", "rgb(255, 255, 255)");
    await page.emulateMedia({ colorScheme: "dark" });
    await page.waitForFunction(
      `document.querySelector("#plot-rates .main-svg").style.background !== "rgb(255, 255, 255)"`,
    );
    assertStringIncludes(await ground() ?? "", "rgb(21, 27, 33)");
    assertEquals(darkColours()["#ffffff"], "#151b21");
    assertEquals(errors, []);
  },
});

Deno.test({
  name: "report() shows static pictures, verdicts and tables where scripts are off",
  ignore: browser.ignore,
  async fn() {
    await using chrome = await launch();
    await using opened = await openPage({
      newPage: () => chrome.newPage({ javaScriptEnabled: false, viewport: { width: 390, height: 900 } }),
    }, routes);
    const { page } = opened;
    assertEquals(await page.locator("noscript svg:visible").count(), PLOTS.length);
    assertEquals(await page.locator(".plot:visible, #slider:visible").count(), 0);
    assertEquals(await page.locator(".verdicts li:visible").count(), options.verdicts.length);
    assertEquals(await page.locator("table:visible").count(), 2);
  },
});

Deno.test("report() escapes what it is given, names a software adapter, and needs no rates", () => {
  assert(!html.includes("<b>not markup"));
  assertStringIncludes(html, "synthetic device (a software adapter: its times say nothing about a GPU)");
  const { rates: _, ...rest } = options;
  const plain = report({ ...rest, isSoftware: false });
  assert(!plain.includes("a software adapter") && !plain.includes(`id="slider"`));
  assert([...html.matchAll(/<\/script>/g)].length === 4);
});
