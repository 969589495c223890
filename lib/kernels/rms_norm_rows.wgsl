// What the kernels of a row's norm share: 64 / LANES rows a workgroup of 64 invocations; LANES neighbours share a row.
//
// Overrides LANES  1, 2, 4, … 64: 1 on software adapters, where a barrier costs more than a stride
// Alias     Value is vec4f where d is a multiple of 4, else f32; WIDTH its length, inner() its scalar product
//           (prepended by rms_norm.ts)
override LANES: u32 = 1u;
var<workgroup> partial: array<f32, 64>;

fn row_of(group: vec3u, groups: vec3u, local: u32) -> u32 {
  return (group.x + group.y * groups.x) * (64u / LANES) + local / LANES;
}

// The sum of what the lanes of a row bring, for all of them.
fn row_sum(own: f32, local: u32) -> f32 {
  let lane = local % LANES;
  partial[local] = own;
  for (var step = LANES / 2u; step > 0u; step >>= 1u) {
    workgroupBarrier();
    if (lane < step) { partial[local] += partial[local + step]; }
  }
  if (LANES > 1u) { workgroupBarrier(); }
  return partial[local - lane];
}
