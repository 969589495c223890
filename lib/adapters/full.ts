import type { Method } from "./method.ts";

/** Full fine-tuning: the weights themselves are trained (`attach` copies them), so there are no factors to start. */
export const full: Method = {
  name: "full",
  startsAtZero: true,
  takes: [],
  start: () => Promise.resolve([]),
};
