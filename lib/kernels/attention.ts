import { type KernelSpec, once } from "../gpu/kernel.ts";
import { unroll } from "../gpu/unroll.ts";
import alone from "./attention_alone.wgsl" with { type: "text" };
import share from "./attention_share.wgsl" with { type: "text" };
import forward from "./attention.wgsl" with { type: "text" };

/** How rows of keys or queries reach an invocation: loaded by each, or by one of a subgroup that hands them round. */
export type AttentionVariant = "alone" | "share";

/** What an attention kernel is compiled for: one of each a model, as the head's width sizes arrays in registers. */
export interface AttentionBuild {
  /** Width of a head, even. */
  readonly c: number;
  /** How rows are loaded. */
  readonly variant: AttentionVariant;
  /** Invocations of a subgroup, a multiple of 4; used by `share`. */
  readonly subgroup: number;
  /** Keys that a query attends to, itself the last; all before it unless given. */
  readonly window?: number;
}

/**
 * An attention kernel from its WGSL. Beside the shader's uniforms, `workgroups` reads `rows`, the queries or keys of
 * one key-value head, and `pairs`, the key-value heads of all texts.
 */
export function attentionSpec(
  name: string,
  source: string,
  storage: KernelSpec["storage"],
  build: AttentionBuild,
): KernelSpec {
  const key = `${name}_${build.variant}_${build.c}_${build.subgroup}${
    build.window ? `_${build.window}` : ""
  }`;
  return once(key, () => makeSpec(key, source, storage, build));
}

function makeSpec(
  name: string,
  source: string,
  storage: KernelSpec["storage"],
  { c, variant, subgroup, window }: AttentionBuild,
): KernelSpec {
  const chunk = c % 4 ? 2 : 4;
  const width = c / chunk;
  const perInvocation = Math.max(1, Math.min(4, Math.floor(16 / width)));
  const shared = variant === "share";
  const consts = {
    WIDTH: width,
    ROWS: perInvocation,
    WG: shared ? subgroup : 32,
    KEYS: shared ? subgroup : 1,
    STEP: shared ? 4 : 1,
  };
  return {
    name,
    source: `alias Chunk = vec${chunk}f;\n${isSeen(window)}${shared ? share : alone}${
      unroll(source, consts)
    }`,
    storage,
    uniforms: [["t", "u32"], ["s", "u32"], ["start", "u32"], ["h", "u32"], ["hk", "u32"], ["scale", "f32"]],
    consts,
    ...shared && { features: ["subgroups"] as const },
    workgroups: ({ rows, pairs }) => [Math.ceil(rows / (consts.WG * perInvocation)), pairs, 1],
  };
}

/**
 * Which keys a query sees. Without a window, what it was before there were any: the same code once inlined. With one, a
 * key after the query is as far before it as u32 goes, so one comparison does: a second one behind `&&` is a branch, and
 * SwiftShader compiles hundreds of them for minutes.
 */
function isSeen(window?: number): string {
  const seen = window === undefined ? "key <= query" : `query - key < ${window}u`;
  return `fn is_seen(key: u32, query: u32) -> bool { return ${seen}; }\n`;
}

/**
 * Attention's forward pass.
 *
 * With E = 33 `EPS`, what the poorest known driver's exp is off by, m a query's largest score x and n the keys it
 * sees, each of its weights p is off by p · w, w = 2 E + `EPS` · (m − x) + `EPS` · √(c + 1) · Σ|q k| / √c: its own exp
 * and those of the maxima it met on the way, the argument's rounding, the score's. So out is off by at most
 * Σ p w |v| + (`EPS` · √n + Σ p w) · Σ p |v|, and log_sum_exp by Σ p w + `EPS` · (√n + 10 + |m| + |log_sum_exp|).
 */
export function attention(build: AttentionBuild): KernelSpec {
  return attentionSpec("attention", forward, ["read", "read", "read", "read_write", "read_write"], build);
}
