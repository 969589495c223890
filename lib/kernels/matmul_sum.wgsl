// matmul_sum: c[z, i] = scale · Σ_s partial[z, s, i] (+ c[z, i])      oracle: lib/reference/matmul.ts
//
// Adds up what matmul_tile left in ranges of k, in ascending order.
//
// Grid      one invocation an output; dispatch (⌈size / 64⌉ over x and y, batch).
// Bindings  1 partial f32 [batch, splits, size]   2 c f32 [batch, size]
struct Uniforms { size: u32, splits: u32, accumulate: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let i = (group.x + group.y * groups.x) * 64 + invocation;
  if (i >= u.size) { return; }
  var sum = 0.0;
  for (var s = 0u; s < u.splits; s++) { sum += partial[(group.z * u.splits + s) * u.size + i]; }
  var old = 0.0;
  if (u.accumulate != 0) { old = c[group.z * u.size + i]; }
  c[group.z * u.size + i] = old + u.scale * sum;
}
