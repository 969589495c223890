// column_sum: y[j] = Σ_i x[i, j] (+ y[j] if accumulate)                  oracle: lib/reference/column_sum.ts
//
// Grid      (⌈d / 64⌉, 1, 1); one invocation a column.
// Bindings  1 x f32 [n, d]   2 y f32 [d]
struct Uniforms { n: u32, d: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= u.d) { return; }
  var sum = 0.0;
  for (var i = 0u; i < u.n; i++) { sum += x[i * u.d + id.x]; }
  if (u.accumulate == 1u) { sum += y[id.x]; }
  y[id.x] = sum;
}
