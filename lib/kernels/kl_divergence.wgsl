// kl_divergence: KL(p ‖ q) = Σ p (log p − log q) with p = softmax(x), q = softmax(y); 0 where the target is −1.
//                                                                            oracle: lib/reference/kl_divergence.ts
//
// Grid      one row a workgroup of WG.
// Bindings  1 targets i32 [n]   2 x f32 [rows, v]   3 y f32 [rows, v], rows `first` to `first + rows` of n   4 kl f32 [n]
// Overrides WG  invocations a row, a power of two
// The sum is over p (t + exp(−t) − 1) with t = log p − log q, which is the same as Σ q = 1: no term is negative, so
// nothing cancels where p and q are close. A row that holds NaN or infinity gives NaN.
struct Uniforms { first: u32, rows: u32, v: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> targets: array<i32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> kl: array<f32>;

override WG: u32 = 64u;
const LOWEST = -3.0e38;
const EXPONENT = 0x7f800000u;

struct Partial { largest: vec2f, sum: vec2f, exponent: u32 }
var<workgroup> parts: array<Partial, WG>;
var<workgroup> sums: array<f32, WG>;

fn join(a: Partial, b: Partial) -> Partial {
  let m = max(a.largest, b.largest);
  let sum = a.sum * exp(a.largest - m) + b.sum * exp(b.largest - m);
  return Partial(m, sum, max(a.exponent, b.exponent));
}

/// p (t + exp(−t) − 1), by its series where the three would cancel.
fn term(p: f32, q: f32, t: f32) -> f32 {
  if (abs(t) >= 0.5) { return p * (t - 1.0) + q; }
  let h = -t;
  let tail = 1.0 / 120.0 + h * (1.0 / 720.0 + h * (1.0 / 5040.0 + h * (1.0 / 40320.0 + h / 362880.0)));
  return p * (h * h * (0.5 + h * (1.0 / 6.0 + h * (1.0 / 24.0 + h * tail))));
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= u.rows) { return; }
  if (targets[u.first + row] == -1) {
    if (lane == 0u) { kl[u.first + row] = 0.0; }
    return;
  }

  let begin = row * u.v;
  var own = Partial(vec2f(LOWEST), vec2f(0.0), 0u);
  for (var i = lane; i < u.v; i += WG) {
    let z = vec2f(x[begin + i], y[begin + i]);
    let bits = bitcast<vec2u>(z) & vec2u(EXPONENT);
    own.exponent = max(own.exponent, max(bits.x, bits.y));
    let m = max(own.largest, z);
    own.sum = own.sum * exp(own.largest - m) + exp(z - m);
    own.largest = m;
  }
  parts[lane] = own;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (lane < half) { parts[lane] = join(parts[lane], parts[lane + half]); }
    workgroupBarrier();
  }
  let total = parts[0];

  let log_sum = log(total.sum);
  var sum = 0.0;
  for (var i = lane; i < u.v; i += WG) {
    let log_p = vec2f(x[begin + i], y[begin + i]) - total.largest - log_sum;
    let p = exp(log_p);
    sum += term(p.x, p.y, log_p.x - log_p.y);
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (lane < half) { sums[lane] += sums[lane + half]; }
    workgroupBarrier();
  }
  if (lane == 0u) {
    let nan = bitcast<f32>(EXPONENT | 0x400000u | row);
    kl[u.first + row] = select(sums[0], nan, total.exponent == EXPONENT);
  }
}
