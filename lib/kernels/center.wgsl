// center: y = x − mean(x) of each row                                    oracle: lib/reference/center.ts
//
// Grid      64 / LANES rows a workgroup of 64 invocations; LANES neighbours share a row.
// Bindings  1 x f32 [n, d]   2 y f32 [n, d]
// Overrides and alias as in rms_norm_rows
struct Uniforms { n: u32, d: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read_write> y: array<Value>;

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
  var sum = Value(0.0);
  if (row < u.n) {
    for (var j = lane; j < values; j += LANES) { sum += x[start + j]; }
  }
  let sum_of_row = row_sum(inner(sum, Value(1.0)), local);
  if (row >= u.n) { return; }
  let mean = sum_of_row / f32(u.d);
  for (var j = lane; j < values; j += LANES) { y[start + j] = x[start + j] - mean; }
}
