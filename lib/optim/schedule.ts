/** How the learning rate goes after warm-up: stays, falls in a line to zero, or falls as half a cosine to zero. */
export type Schedule = "constant" | "linear" | "cosine";

/**
 * Factor of the learning rate at update `step` (from 0): rises as step / warmup, then follows the schedule.
 *
 * The same values as `get_scheduler` of Hugging Face transformers, where the first update of a warm-up has rate 0.
 *
 * @param warmup Updates of the warm-up.
 * @param steps Updates in all.
 */
export function scheduleFactor(schedule: Schedule, step: number, warmup: number, steps: number): number {
  if (step < warmup) return step / Math.max(1, warmup);
  if (schedule === "constant") return 1;
  const progress = (step - warmup) / Math.max(1, steps - warmup);
  return Math.max(0, schedule === "linear" ? 1 - progress : 0.5 * (1 + Math.cos(Math.PI * progress)));
}
