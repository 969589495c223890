// bias: y[i, j] = x[i, j] + b[j]                                         oracle: lib/reference/bias.ts
//
// Grid      one invocation an element, 64 a workgroup.
// Bindings  1 x f32 [n, d]   2 b f32 [d]   3 y f32 [n, d]
struct Uniforms { size: u32, d: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.size) { return; }
  y[i] = x[i] + b[i % u.d];
}
