import { linearModules } from "../io/weights.ts";
import type { DecoderConfig } from "../io/model_config.ts";
import { moduleRank } from "../io/peft_format.ts";
import { isTarget } from "../io/peft_targets.ts";
import type { AdapterConfig } from "./adapter.ts";

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
    throw new RangeError(
      `Cannot adapt "${name}": no layer of that name, expected "all-linear" or some of ${endsOf(config)}`,
    );
  }
  return all.filter(({ module }) => isTarget(selection, module));
}

/**
 * Refuses patterns for ranks and α that would change nothing.
 *
 * @throws {RangeError} If one matches no layer.
 */
export function checkPatterns(
  config: DecoderConfig,
  patterns: Pick<AdapterConfig, "rankPattern" | "alphaPattern">,
): void {
  const modules = [...linearModules(config).keys()];
  for (const name of ["rankPattern", "alphaPattern"] as const) {
    for (const key of Object.keys(patterns[name] ?? {})) {
      const matches = (module: string) => moduleRank({ rank: 0, rankPattern: { [key]: 1 } }, module) === 1;
      if (modules.some(matches)) continue;
      throw new RangeError(
        `Cannot attach adapter with ${name} "${key}": no layer of that name, expected some of ${
          endsOf(config)
        }`,
      );
    }
  }
}

/** The last names of the layers' paths, for errors. */
function endsOf(config: DecoderConfig): string {
  return [...new Set([...linearModules(config).keys()].map((module) => module.split(".").at(-1)))].join(", ");
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
