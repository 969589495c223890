import { linearModules } from "../io/weights.ts";
import type { DecoderConfig } from "../io/model_config.ts";
import { isTarget } from "../io/peft_targets.ts";

/** Which linear layers to adapt: ends of module paths, one regular expression for whole paths, or "all-linear". */
export type TargetSelection = "all-linear" | (string & Record<never, never>) | readonly string[];

/**
 * The linear layers that `selection` names, in the order of the forward pass, as PEFT selects them.
 *
 * @throws {RangeError} If a name, or the expression, matches no layer.
 */
export function selectTargets(
  config: DecoderConfig,
  selection: TargetSelection,
): { module: string; out: number; in: number }[] {
  const all = [...linearModules(config)].map(([module, shape]) => ({ module, ...shape }));
  const names = typeof selection === "string" ? [selection] : selection;
  if (typeof selection === "string") checkExpression(selection);
  for (const name of names) {
    const alone = typeof selection === "string" ? selection : [name];
    if (all.some(({ module }) => isTarget(alone, module))) continue;
    const ends = [...new Set(all.map(({ module }) => module.split(".").at(-1)))].join(", ");
    throw new RangeError(
      `Cannot adapt "${name}": no layer of that name, expected "all-linear" or some of ${ends}`,
    );
  }
  return all.filter(({ module }) => isTarget(selection, module));
}

function checkExpression(source: string): void {
  try {
    new RegExp(source);
  } catch (cause) {
    throw new RangeError(
      `Cannot adapt "${source}": expected a regular expression (${(cause as Error).message})`,
      { cause },
    );
  }
}
