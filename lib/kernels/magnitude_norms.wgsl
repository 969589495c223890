// magnitude_norms: norm[i] = √Σ_j x[i, j]²                               oracle: lib/reference/magnitude.ts
//
// Grid      64 / LANES rows a workgroup of 64 invocations; LANES neighbours share a row.
// Bindings  1 x f32 [n, d]   2 norm f32 [n]
// Overrides and alias as in rms_norm_rows
struct Uniforms { n: u32, d: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;

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
      let value = x[start + j];
      squares += inner(value, value);
    }
  }
  let sum_of_row = row_sum(squares, local);
  if (row < u.n && lane == 0u) { norm[row] = sqrt(sum_of_row); }
}
