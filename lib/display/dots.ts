import type { Panel } from "./figure.ts";
import type { Interval } from "./statistics.ts";

/** A named value with its interval. */
export interface Dot {
  /** Name under the axis. */
  readonly name: string;
  /** Colour key. */
  readonly role: string;
  /** Value and interval, whose ends are not drawn where they are NaN. */
  readonly value: Interval;
}

/** Named values side by side, in the given order: each a dot, with its interval as whiskers. */
export function dotPanel(dots: readonly Dot[], panel: Pick<Panel, "title" | "yLabel" | "marks">): Panel {
  return {
    xLabel: "",
    ...panel,
    xNames: dots.map(({ name }) => name),
    series: dots.map(({ name, role, value: { mean, low, high } }, i) => ({
      name,
      role,
      points: true,
      x: [i + 1],
      y: [mean],
      ...(Number.isFinite(low) && { low: [low], high: [high] }),
    })),
  };
}
