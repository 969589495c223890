/** Which modules an adapter sits on, as PEFT's configuration says it. */
export interface PeftTargets {
  /** Names that end a module's path, or one regular expression for whole paths, or "all-linear". */
  readonly targetModules: readonly string[] | string;
  /** Modules left out, said likewise; wins over `targetModules`. */
  readonly excludeModules?: readonly string[] | string;
  /** PEFT's `layers_to_transform`: the only layers that names in `targetModules` select in; default all. */
  readonly layers?: readonly number[];
  /** PEFT's `layers_pattern`: what a layer's number follows in a path, e.g. "layers"; default any name. */
  readonly layersPattern?: readonly string[];
}

/**
 * Whether `targetModules` selects the module at `path`, as PEFT decides it: a list holds whole paths or their
 * last parts, a string is a regular expression for the whole path; "all-linear" selects every module.
 */
export function isTarget(targetModules: readonly string[] | string, path: string): boolean {
  if (targetModules === "all-linear") return true;
  if (typeof targetModules === "string") return new RegExp(`^(?:${targetModules})$`).test(path);
  return targetModules.some((name) => path === name || path.endsWith(`.${name}`));
}

/**
 * Whether an adapter with these settings sits on the module at `path`. As in PEFT, `layers` narrows what names select,
 * and neither whole paths nor regular expressions.
 *
 * Source: `check_target_module_exists` of huggingface/peft, 0.21.
 */
export function isSelected(targets: PeftTargets, path: string): boolean {
  const { targetModules, excludeModules = [], layers = [], layersPattern = [] } = targets;
  if (excludeModules.length && isTarget(excludeModules, path)) return false;
  if (!isTarget(targetModules, path)) return false;
  if (typeof targetModules === "string" || targetModules.includes(path) || !layers.length) return true;
  const patterns = layersPattern.length
    ? layersPattern.map((pattern) => `^(?:.*?\\.)?(?:${pattern})\\.(\\d+)\\.`)
    : ["^.*?\\.[^.]*\\.(\\d+)\\."];
  const layer = patterns.map((pattern) => new RegExp(pattern).exec(path)?.[1]).find(Boolean);
  return layer !== undefined && layers.includes(Number(layer));
}

/**
 * The shortest list of names by which PEFT selects exactly `modules` out of `all`: last parts of their paths where
 * these name no other module, else whole paths.
 */
export function targetNames(modules: Iterable<string>, all: Iterable<string>): string[] {
  const chosen = new Set(modules);
  const ends = [...new Set([...chosen].map((module) => module.split(".").at(-1)!))];
  return [...all].every((module) => chosen.has(module) || !isTarget(ends, module)) ? ends : [...chosen];
}
