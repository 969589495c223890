// rms_norm_backward: dx = dh + ρ (w dy − h ρ² mean(w dy h))              oracle: lib/reference/rms_norm.ts
//
// Grid      64 / LANES rows a workgroup of 64 invocations; LANES neighbours share a row.
// Bindings  1 h f32 [n, d]   2 w f32 [d]   3 rho f32 [n]   4 dy f32 [n, d]
//           5 dh f32 [n, d] (read if has_dh)   6 dx f32 [n, d]
// Overrides and alias as in rms_norm_rows
struct Uniforms { n: u32, d: u32, has_dh: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> h: array<Value>;
@group(0) @binding(2) var<storage, read> w: array<Value>;
@group(0) @binding(3) var<storage, read> rho: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<Value>;
@group(0) @binding(5) var<storage, read> dh: array<Value>;
@group(0) @binding(6) var<storage, read_write> dx: array<Value>;

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
  var product = 0.0;
  if (row < u.n) {
    for (var j = lane; j < values; j += LANES) { product += inner(w[j] * dy[start + j], h[start + j]); }
  }
  let sum_of_row = row_sum(product, local);
  if (row >= u.n) { return; }
  let scale = rho[row];
  let pull = scale * scale * (sum_of_row / f32(u.d));
  for (var j = lane; j < values; j += LANES) {
    var value = scale * (w[j] * dy[start + j] - h[start + j] * pull);
    if (u.has_dh == 1u) { value += dh[start + j]; }
    dx[start + j] = value;
  }
}
