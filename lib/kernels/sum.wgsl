// sum: y[at] = scale Σ_i x[i]  (or √(Σ x²) if root; added to y[at] if accumulate)      oracle: lib/reference/sum.ts
//
// Grid      (parts, 1, 1): workgroup p sums the stretch of `span` elements from p · span into y[at + p].
// Bindings  1 x f32 [n]   2 y f32
// Modes     square: sum squares; root: take the square root of the sum
struct Uniforms { n: u32, span: u32, at: u32, accumulate: u32, square: u32, root: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let stop = min(u.n, (group.x + 1u) * u.span);
  var total = 0.0;
  for (var i = group.x * u.span + local; i < stop; i += 64u) {
    total += select(x[i], x[i] * x[i], u.square == 1u);
  }
  partial[local] = total;
  for (var step = 32u; step > 0u; step >>= 1u) {
    workgroupBarrier();
    if (local < step) { partial[local] += partial[local + step]; }
  }
  if (local > 0u) { return; }
  var result = u.scale * partial[0];
  if (u.root == 1u) { result = sqrt(result); }
  if (u.accumulate == 1u) { result += y[u.at + group.x]; }
  y[u.at + group.x] = result;
}
