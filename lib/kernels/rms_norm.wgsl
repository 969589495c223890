// rms_norm: h = x + delta, y = w h ρ, ρ = 1 / √(mean(h²) + eps)        oracle: lib/reference/rms_norm.ts
//
// Grid      64 / LANES rows a workgroup of 64 invocations; LANES neighbours share a row.
// Bindings  1 x f32 [n, d]   2 delta f32 [n, d] (read if has_delta)   3 w f32 [d]
//           4 h f32 [n, d] (written if has_delta)   5 y f32 [n, d]   6 rho f32 [n]
// Overrides and alias as in rms_norm_rows
struct Uniforms { n: u32, d: u32, has_delta: u32, eps: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read> delta: array<Value>;
@group(0) @binding(3) var<storage, read> w: array<Value>;
@group(0) @binding(4) var<storage, read_write> h: array<Value>;
@group(0) @binding(5) var<storage, read_write> y: array<Value>;
@group(0) @binding(6) var<storage, read_write> rho: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % LANES;
  let row = row_of(group, groups, local);
  let values = u.d / WIDTH;
  let start = row * values;
  var squares = 0.0;
  if (row < u.n) {
    for (var j = lane; j < values; j += LANES) {
      var value = x[start + j];
      if (u.has_delta == 1u) {
        value += delta[start + j];
        h[start + j] = value;
      }
      squares += inner(value, value);
    }
  }
  let sum_of_row = row_sum(squares, local);
  if (row >= u.n) { return; }
  let scale = 1.0 / sqrt(sum_of_row / f32(u.d) + u.eps);
  if (lane == 0u) { rho[row] = scale; }
  for (var j = lane; j < values; j += LANES) {
    var value = x[start + j];
    if (u.has_delta == 1u) { value = h[start + j]; }
    y[start + j] = w[j] * value * scale;
  }
}
