import { checkLengths } from "./check.ts";

/** x `[n, parts · d]` cut into `parts` matrices `[n, d]` of neighbouring columns. */
export function splitColumns(
  x: Float64Array,
  { n, d, parts }: { n: number; d: number; parts: number },
): Float64Array[] {
  checkLengths("splitColumns", { n, d, parts }, { "x [n, parts, d]": x });
  return Array.from(
    { length: parts },
    (_, part) =>
      Float64Array.from({ length: n * d }, (_, i) => x[Math.floor(i / d) * parts * d + part * d + i % d]),
  );
}

/** Matrices `[n, d]` side by side: the inverse of {@linkcode splitColumns}, and its gradient. */
export function joinColumns(
  parts: readonly Float64Array[],
  { n, d }: { n: number; d: number },
): Float64Array {
  parts.forEach((part) => checkLengths("joinColumns", { n, d }, { "part [n, d]": part }));
  const width = parts.length * d;
  return Float64Array.from(
    { length: n * width },
    (_, i) => parts[Math.floor(i % width / d)][Math.floor(i / width) * d + i % d],
  );
}

/** `width` columns of x `[n, d]`, from column `from` on, as columns `to` on of `[n, wide]`, where the others are zero. */
export function moveColumns(
  x: Float64Array,
  { n, d, wide, width, from, to }: Record<"n" | "d" | "wide" | "width" | "from" | "to", number>,
): Float64Array {
  checkLengths("moveColumns", { n, d }, { "x [n, d]": x });
  return Float64Array.from({ length: n * wide }, (_, at) => {
    const j = at % wide - to;
    return j >= 0 && j < width ? x[Math.floor(at / wide) * d + from + j] : 0;
  });
}
