// cross_entropy: nll = m + log Σ exp(x − m) − x[target] with m = max x, and in place of the logits their gradient
// scale · (softmax(x) − onehot(target)); both 0 where the target is −1.      oracle: lib/reference/cross_entropy.ts
//
// Grid      one row a workgroup of WG.
// Bindings  1 targets i32 [n]   2 logits f32 [rows, v], rows `first` to `first + rows` of n   3 nll f32 [n]
// Overrides WG  invocations a row, a power of two
// Rows are read by vec4 at any v; the vectors at a row's ends, which it shares with its neighbours, by element.
// A row that holds NaN or infinity, or a target past its end, gives NaN: drivers' max and exp swallow them.
struct Uniforms { first: u32, rows: u32, v: u32, gradient: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> targets: array<i32>;
@group(0) @binding(2) var<storage, read_write> logits: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> nll: array<f32>;

override WG: u32 = 64u;
const LOWEST = -3.0e38;
const EXPONENT = 0x7f800000u;

struct Partial { largest: f32, sum: f32, exponent: u32 }
var<workgroup> parts: array<Partial, WG>;

/// Elements [begin, end) of vector `at`; LOWEST elsewhere.
fn load(at: u32, begin: u32, end: u32) -> vec4f {
  if (4u * at >= begin && 4u * at + 4u <= end) { return logits[at]; }
  var x = vec4f(LOWEST);
  for (var i = 0u; i < 4u; i++) {
    if (4u * at + i >= begin && 4u * at + i < end) { x[i] = logits[at][i]; }
  }
  return x;
}

fn store(at: u32, begin: u32, end: u32, x: vec4f) {
  if (4u * at >= begin && 4u * at + 4u <= end) {
    logits[at] = x;
    return;
  }
  for (var i = 0u; i < 4u; i++) {
    if (4u * at + i >= begin && 4u * at + i < end) { logits[at][i] = x[i]; }
  }
}

fn join(a: Partial, b: Partial) -> Partial {
  let m = max(a.largest, b.largest);
  let sum = a.sum * exp(a.largest - m) + b.sum * exp(b.largest - m);
  return Partial(m, sum, max(a.exponent, b.exponent));
}

fn row_total(lane: u32, own: Partial) -> Partial {
  parts[lane] = own;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (lane < half) { parts[lane] = join(parts[lane], parts[lane + half]); }
    workgroupBarrier();
  }
  return parts[0];
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= u.rows) { return; }
  let begin = row * u.v;
  let end = begin + u.v;
  let stop = (end + 3u) / 4u;
  let label = targets[u.first + row];
  if (label == -1) {
    if (lane == 0u) { nll[u.first + row] = 0.0; }
    if (u.gradient != 0u) {
      for (var at = begin / 4u + lane; at < stop; at += WG) { store(at, begin, end, vec4f(0.0)); }
    }
    return;
  }

  var own = Partial(LOWEST, 0.0, 0u);
  for (var at = begin / 4u + lane; at < stop; at += WG) {
    let x = load(at, begin, end);
    let bits = bitcast<vec4u>(x) & vec4u(EXPONENT);
    own.exponent = max(own.exponent, max(max(bits.x, bits.y), max(bits.z, bits.w)));
    let m = max(max(x.x, x.y), max(x.z, x.w));
    if (m > own.largest) {
      own.sum *= exp(own.largest - m);
      own.largest = m;
    }
    let e = exp(x - own.largest);
    own.sum += (e.x + e.y) + (e.z + e.w);
  }
  let total = row_total(lane, own);

  let broken = total.exponent == EXPONENT || u32(label) >= u.v;
  let nan = bitcast<f32>(EXPONENT | 0x400000u | row);
  let at_label = begin + u32(label);
  if (lane == (at_label / 4u - begin / 4u) % WG) {
    let x = logits[at_label / 4u][at_label % 4u];
    nll[u.first + row] = select(total.largest - x + log(total.sum), nan, broken);
  }
  if (u.gradient == 0u) { return; }
  let factor = select(u.scale / total.sum, nan, broken);
  for (var at = begin / 4u + lane; at < stop; at += WG) {
    var g = factor * exp(load(at, begin, end) - total.largest);
    if (at == at_label / 4u) { g[at_label % 4u] -= u.scale; }
    store(at, begin, end, g);
  }
}
