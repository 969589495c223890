// columns: y[i, to + j] = x[i, from + j] for j < width                   oracle: lib/reference/columns.ts
//
// Grid      one invocation an element that is copied, 64 a workgroup.
// Bindings  1 x f32 [n, wide]   2 y f32 [n, broad]
struct Uniforms { n: u32, width: u32, wide: u32, from_column: u32, broad: u32, to_column: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let at = (group.x + group.y * groups.x) * 64u + local;
  if (at >= u.n * u.width) { return; }
  let i = at / u.width;
  let j = at % u.width;
  y[i * u.broad + u.to_column + j] = x[i * u.wide + u.from_column + j];
}
