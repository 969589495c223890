import { GpuError } from "../core/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { nonFiniteSpec } from "../kernels/non_finite.ts";
import { qrFinishSpec } from "../kernels/qr_finish.ts";
import { qrIdentitySpec } from "../kernels/qr_identity.ts";
import { qrLoadSpec } from "../kernels/qr_load.ts";
import { PANEL, qrPanelSpec } from "../kernels/qr_panel.ts";
import { copyColumns } from "../ops/columns.ts";
import { effectiveWeight } from "../ops/effective_weight.ts";
import { matmul } from "../ops/matmul.ts";
import { exceedsBinding } from "../ops/row_ranges.ts";
import { type NamedMatrix, nonFiniteError } from "./finite.ts";

/** Options of `qrAll` and `qr`. */
export interface QrOptions {
  /** Columns of Q; only the first `columns` columns of W are factored. Default min(m, n). */
  columns?: number;
  /** All m columns of Q, the further ones an orthonormal completion, and m rows of R. Default false. */
  full?: boolean;
}

/** A factorisation; whoever asked for it disposes it. */
export interface QrResult {
  /** Orthonormal columns, f32 `[m, columns]`, or `[m, m]` if full. */
  q: Tensor;
  /** Qᵀ W, upper trapezoidal with diag(R) >= 0, f32 `[columns, n]`, or `[m, n]` if full. */
  r: Tensor;
}

/**
 * QR factorisations of several matrices, with one wait for the device: W = Q R, or, with fewer `columns` than
 * min(m, n), W[:, :columns] = Q R[:, :columns] and R = Qᵀ W beyond.
 *
 * Blocked Householder in f32 on columns scaled by powers of two, so Q is orthonormal to rounding for any finite W: zero
 * or dependent columns get some orthonormal completion and a diagonal entry of R that is zero or rounding. Signs are
 * such that diag(R) >= 0 (LAPACK's are not; Q D and D R with D = diag(±1) are the same factorisation).
 *
 * Source: Golub and Van Loan 2013, §5.2.2 to 5.2.3 (compact WY form: Schreiber and Van Loan 1989). That Q_r and R_r
 * depend on the first r columns alone follows as reflector j is made from column j after reflectors before it.
 *
 * @param matrices Names for errors, and matrices `[m, n]` stored as f32, f16 or bf16.
 * @throws {RangeError} If `columns` is no whole number from 1 to min(m, n), or a matrix holds NaN or infinity; the
 * message names the matrix.
 */
export async function qrAll(
  gpu: Gpu,
  matrices: readonly NamedMatrix[],
  options: QrOptions = {},
): Promise<QrResult[]> {
  for (const { name, w } of matrices) checkColumns(name, w, options);
  using flags = gpu.keep(gpu.tensor([Math.max(1, matrices.length)], "u32"));
  gpu.clear(flags);
  const results: QrResult[] = [];
  for (const group of alike(matrices, options)) {
    gpu.scope(() => {
      const dense = group.map((at) => {
        const { w } = matrices[at];
        return w.dtype === "f32" ? w : effectiveWeight(gpu, w);
      });
      const [m, n] = dense[0].shape;
      const columns = options.columns ?? Math.min(m, n);
      const size = { columns, width: options.full ? m : columns };
      factor(gpu, dense, size, flags, group).forEach(({ q, r }, i) => {
        results[group[i]] = { q: gpu.keep(q), r: gpu.keep(r) };
      });
    });
  }
  const bad = (await gpu.read(flags)).findIndex((flag) => flag !== 0);
  if (bad < 0 || !matrices.length) return results;
  for (const { q, r } of results) {
    q.dispose();
    r.dispose();
  }
  throw await nonFiniteError(gpu, "factor", matrices[bad]) ?? new GpuError(
    `Cannot factor ${matrices[bad].name}: its products overflow f32, expected entries of a smaller scale`,
  );
}

/**
 * QR of one matrix; see `qrAll`.
 *
 * @param w A matrix on the device, `[m, n]`.
 *
 * @example Usage
 * ```ts ignore
 * import { openDevice, qr } from "@olora/kit";
 *
 * using gpu = await openDevice();
 * using w = gpu.upload(new Float32Array([3, 1, 4, 1]), [2, 2]);
 * const { q, r } = await qr(gpu, w, { columns: 1 });
 * console.log(await gpu.read(q), await gpu.read(r));
 * ```
 */
export async function qr(gpu: Gpu, w: Tensor, options: QrOptions = {}): Promise<QrResult> {
  return (await qrAll(gpu, [{ name: "w", w }], options))[0];
}

/**
 * Replaces `b`, f32 `[m, r]` with r <= m, by the Q of its QR factorisation, without a wait: the QR retraction onto the
 * Stiefel manifold. NaN stays NaN.
 *
 * Source: Absil, Mahony and Sepulchre 2008, "Optimization Algorithms on Matrix Manifolds", eq. (4.8).
 */
export function orthonormalize(gpu: Gpu, b: Tensor): void {
  const columns = b.shape[1];
  gpu.scope(() => {
    const flags = gpu.tensor([1], "u32");
    const [{ q }] = factor(gpu, [b], { columns, width: columns }, flags, [0]);
    gpu.copy(q, b);
  });
}

function checkColumns(name: string, w: Tensor, { columns, full }: QrOptions): void {
  if (w.shape.length !== 2 || w.size === 0) {
    throw new RangeError(
      `Cannot factor ${name}: got shape [${w.shape.join(", ")}], expected a matrix [m, n]`,
    );
  }
  const limit = Math.min(w.shape[0], w.shape[1]);
  if (full && columns !== undefined && columns !== limit) {
    throw new RangeError(`Cannot factor ${name} in full with columns ${columns}: expected one of the two`);
  }
  if (columns === undefined || (Number.isSafeInteger(columns) && columns >= 1 && columns <= limit)) return;
  throw new RangeError(
    `Cannot factor ${name} with columns ${columns}: expected a whole number from 1 to min(m, n) = ${limit}`,
  );
}

/** Bytes of the panels that are factored side by side. */
const GROUP_BYTES = 1 << 26;

/**
 * Places of `matrices`, those of the same shape together where one panel holds all columns: a panel is the work of one
 * workgroup, and leaves the rest of the device idle.
 */
function alike(matrices: readonly NamedMatrix[], { columns, full }: QrOptions): number[][] {
  const byShape = Map.groupBy(matrices.keys(), (at) => `${matrices[at].w.shape}`);
  return [...byShape.values()].flatMap((places) => {
    const [m, n] = matrices[places[0]].w.shape;
    const own = columns ?? Math.min(m, n);
    const most = own > PANEL || full ? 1 : Math.max(1, Math.floor(GROUP_BYTES / (12 * own * padded(m))));
    return Array.from(
      { length: Math.ceil(places.length / most) },
      (_, i) => places.slice(i * most, (i + 1) * most),
    );
  });
}

/** Rows of a transposed panel are padded with zeros, so that each starts where a binding may. */
function padded(length: number): number {
  return Math.ceil(length / 64) * 64;
}

/**
 * Records the factorisations of matrices of one shape, of more than one only where one panel holds all columns; the results
 * belong to the scope around the call. The triangle is written after the product QᵀW, whose first columns hold rounding
 * where it holds zeros; Q is needed before.
 *
 * @param places Where each matrix's flag is.
 */
function factor(
  gpu: Gpu,
  matrices: readonly Tensor[],
  { columns, width }: { columns: number; width: number },
  flags: Tensor,
  places: readonly number[],
): QrResult[] {
  const [m, n] = matrices[0].shape;
  const batch = matrices.length;
  const ld = padded(m);
  const p = gpu.tensor([batch, columns, ld]);
  const v = gpu.tensor([batch, columns, ld]);
  const exponents = gpu.tensor([batch, padded(columns)], "i32");
  const panelOf = (i: number) => p.view([columns, ld], i * columns * ld);
  const exponentOf = (i: number) => exponents.view([columns], i * padded(columns));
  matrices.forEach((w, i) => {
    let [head, wide] = [w, n];
    if (exceedsBinding(gpu, w)) {
      [head, wide] = [gpu.tensor([m, columns]), columns];
      copyColumns(gpu, w, head, { width: columns });
    }
    const at = places[i];
    gpu.run(qrLoadSpec, [head, panelOf(i), exponentOf(i), flags], { m, n: wide, ld, columns, at });
  });
  const panels: { first: number; count: number; t: Tensor }[] = [];
  for (let first = 0; first < columns; first += PANEL) {
    const count = Math.min(PANEL, columns - first);
    const t = gpu.tensor([batch, count, count]);
    gpu.run(qrPanelSpec(gpu.info.isSoftware ? 8 : 256), [p, v, t], { ld, columns, first, count, batch });
    panels.push({ first, count, t });
    const next = first + count;
    if (next < columns) {
      reflect(
        gpu,
        p.view([batch, columns - next, ld], next * ld),
        v.view([batch, count, ld], first * ld),
        t,
        "nn",
      );
    }
  }
  const identity = gpu.tensor([batch, width, ld]);
  gpu.run(qrIdentitySpec, [identity], { columns: width, ld, batch });
  for (const { first, count, t } of panels.reverse()) {
    const rows = identity.view([batch, width - first, ld], first * ld);
    reflect(gpu, rows, v.view([batch, count, ld], first * ld), t, "nt");
  }
  return matrices.map((w, i) => {
    const q = gpu.tensor([m, width]);
    const r = gpu.tensor([width, n]);
    const columnsOfQ = identity.view([width, ld], i * width * ld);
    const finish = (rows: number) =>
      gpu.run(qrFinishSpec, [columnsOfQ, panelOf(i), exponentOf(i), q, r], {
        ...{ m, n, ld, columns, width, rows },
      });
    finish(Math.max(m, width));
    if (columns < n) {
      matmul(gpu, "tn", q, w, { into: r });
      gpu.run(nonFiniteSpec, [r, flags], { n: r.size, at: places[i] });
      finish(width);
    }
    return { q, r };
  });
}

/** Rows x of `rows` become x − ((x V) T) Vᵀ, with T for the transposed reflector ("nn") or Tᵀ for the reflector itself. */
function reflect(gpu: Gpu, rows: Tensor, v: Tensor, t: Tensor, form: "nn" | "nt"): void {
  using z = matmul(gpu, "nt", rows, v);
  using weighted = matmul(gpu, form, z, t);
  matmul(gpu, "nn", weighted, v, { into: rows, accumulate: true, scale: -1 });
}
