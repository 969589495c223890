// Draws the panels of the report, follows the colour scheme, and moves the learning rate.
// The page holds two values: `#plots` (a Plotly figure for each `.plot`, by id) and `#stops` (the slider's stops).
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const { figures, darkColours } = read("plots");
  const stops = read("stops");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)").matches;
  // One finger scrolls the page; zooming by drag is for a mouse.
  const options = { responsive: true, displaylogo: false, displayModeBar: false, doubleClick: "reset" };

  const themed = (figure) => {
    const text = JSON.stringify(figure);
    if (!dark.matches) return JSON.parse(text);
    return JSON.parse(
      text.replace(/"(#[0-9a-f]{6}|rgba\([^)]*\))"/g, (_, c) => `"${darkColours[c] ?? c}"`),
    );
  };
  const draw = (id, figure) => {
    const { data, layout } = themed(figure);
    return Plotly.react(id, data, { ...layout, dragmode: coarse ? false : "zoom" }, options);
  };
  // The rate figure carries a line at the slider's rate.
  const withRate = (figure, rate) => {
    const cursor = figure.cursor && rate !== undefined ? [{ ...figure.cursor, x0: rate, x1: rate }] : [];
    return { ...figure, layout: { ...figure.layout, shapes: [...figure.layout.shapes, ...cursor] } };
  };

  const slider = document.getElementById("rate");
  const stop = () => stops[slider ? Number(slider.value) : 0];
  const showStop = async () => {
    if (!slider || !stops.length) return;
    const { name, rate, sentence, figure } = stop();
    document.getElementById("rate-name").textContent = name;
    document.getElementById("rate-sentence").textContent = sentence;
    slider.setAttribute("aria-valuetext", name);
    await draw("plot-rate-curves", figure);
    await draw("plot-rates", withRate(figures["plot-rates"], rate));
  };
  const showAll = async () => {
    for (const [id, figure] of Object.entries(figures)) {
      if (id !== "plot-rates" || !slider) await draw(id, figure);
    }
    await showStop();
    document.documentElement.dataset.drawn = "true";
  };

  if (slider) {
    document.getElementById("slider").hidden = false;
    slider.addEventListener("input", showStop);
  }
  dark.addEventListener("change", showAll);
  showAll().then(() => {
    if (!slider) return;
    // A click in the rate figure moves the slider to the rate nearest to it.
    document.getElementById("plot-rates").on("plotly_click", ({ points }) => {
      const nearest = stops.findIndex(({ rate }) => Math.abs(rate / points[0].x - 1) < 1e-6);
      if (nearest < 0) return;
      slider.value = String(nearest);
      showStop();
    });
  });
})();
