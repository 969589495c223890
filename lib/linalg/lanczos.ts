import { svd } from "./svd.ts";

/** The largest eigenvalue of a symmetric matrix, and how sure it is. */
export interface LargestEigenvalue {
  /** The eigenvalue: the largest one, not the one of largest magnitude. */
  readonly value: number;
  /** Its unit eigenvector. */
  readonly vector: Float64Array;
  /** Products with the matrix, the one that the residual takes included. */
  readonly iterations: number;
  /** ‖H x − λ x‖ / |λ|: some eigenvalue is no further from λ than this share of it. 0 where H x is 0. */
  readonly residual: number;
}

/** When to stop. */
export interface LanczosOptions {
  /** Most products with the matrix; each holds a vector. Default 60. */
  iterations?: number;
  /** Relative residual that is good enough. Default 1e-3. */
  tolerance?: number;
}

/**
 * The largest eigenvalue of a symmetric matrix that is known by its products with vectors alone, on the host in float64.
 *
 * Power iteration that keeps its iterates: it takes the best vector of all that they span (Lanczos), so a tenth of the
 * products do, and eigenvalues of both signs are told apart, which power iteration cannot where two have one magnitude.
 * Vectors are made orthogonal twice against all before, so products may be rough.
 *
 * Source: Lanczos 1950, "An iteration method for the solution of the eigenvalue problem of linear differential and
 * integral operators"; Golub and Van Loan 2013, §10.1 and §10.3.
 *
 * @param multiply The product with a unit vector; it may not keep its argument.
 * @param start Where to start, of any length but zero; a random vector misses no eigenvector.
 * @throws {RangeError} If a product holds NaN or infinity, or `start` or an option makes no sense.
 */
export async function largestEigenvalue(
  multiply: (x: Float64Array) => Promise<Float64Array>,
  start: Float64Array,
  options: LanczosOptions = {},
): Promise<LargestEigenvalue> {
  const { iterations = 60, tolerance = 1e-3 } = options;
  const refuse = (what: string, expected: string): never => {
    throw new RangeError(`Cannot compute an eigenvalue with ${what}: expected ${expected}`);
  };
  if (!Number.isSafeInteger(iterations) || iterations < 2) {
    refuse(`iterations ${iterations}`, "a whole number >= 2");
  }
  if (!(tolerance >= 0)) refuse(`tolerance ${tolerance}`, "a number >= 0");
  const length = norm(start);
  if (!(length > 0 && length < Infinity)) refuse("this start", "finite numbers that are not all zero");

  const basis = [start.map((x) => x / length)];
  const diagonal: number[] = [];
  const beside: number[] = [];
  let done = 0;
  const product = async (x: Float64Array) => {
    const y = await multiply(x);
    if (!y.every(Number.isFinite)) refuse("this matrix", "products of finite numbers");
    done++;
    return y;
  };
  while (true) {
    const y = await product(basis.at(-1)!);
    diagonal.push(dot(basis.at(-1)!, y));
    for (let pass = 0; pass < 2; pass++) for (const x of basis) add(y, x, -dot(x, y));
    const rest = norm(y);
    const ritz = largestOfTridiagonal(diagonal, beside);
    const estimate = Math.abs(rest * ritz.vector.at(-1)!);
    const exhausted = basis.length === start.length || rest <= Number.EPSILON * Math.abs(ritz.size);
    if (exhausted || estimate <= tolerance * Math.abs(ritz.value) / 2 || done === iterations - 1) {
      const vector = new Float64Array(start.length);
      basis.forEach((x, i) => add(vector, x, ritz.vector[i]));
      const image = await product(vector);
      const value = dot(vector, image);
      add(image, vector, -value);
      const off = norm(image);
      const residual = off && off / Math.abs(value);
      if (exhausted || residual <= tolerance || done >= iterations - 1) {
        return { value, vector, iterations: done, residual };
      }
    }
    beside.push(rest);
    basis.push(y.map((x) => x / rest));
  }
}

/** The largest eigenvalue of a symmetric tridiagonal matrix, its vector, and a bound on all magnitudes. */
function largestOfTridiagonal(diagonal: readonly number[], beside: readonly number[]) {
  const k = diagonal.length;
  const size = Math.max(
    ...diagonal.map((x, i) => Math.abs(x) + Math.abs(beside[i - 1] ?? 0) + Math.abs(beside[i] ?? 0)),
  );
  // Shifted by Gershgorin's bound no eigenvalue is negative, so singular values are eigenvalues.
  const shifted = Float64Array.from({ length: k * k }, (_, at) => {
    const [i, j] = [Math.floor(at / k), at % k];
    if (i === j) return diagonal[i] + size;
    return Math.abs(i - j) === 1 ? beside[Math.min(i, j)] : 0;
  });
  const { s, u } = svd(shifted, { m: k, n: k });
  return { value: s[0] - size, vector: Float64Array.from({ length: k }, (_, i) => u[i * k]), size };
}

function add(y: Float64Array, x: Float64Array, factor: number): void {
  for (let i = 0; i < y.length; i++) y[i] += factor * x[i];
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

function norm(x: Float64Array): number {
  return Math.sqrt(dot(x, x));
}
