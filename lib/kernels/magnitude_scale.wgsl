// magnitude_scale: y[i, k, j] = x[i, k, j] m[k] / norm[k]                oracle: lib/reference/magnitude.ts
//
// Grid      one invocation an element, 64 a workgroup.
// Bindings  1 x f32 [n, d, inner]   2 m f32 [d]   3 norm f32 [d]   4 y f32 [n, d, inner]
// The factor is 1 where m = norm, whatever the division rounds to, and where norm = 0.
struct Uniforms { size: u32, d: u32, inner: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> m: array<f32>;
@group(0) @binding(3) var<storage, read> norm: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.size) { return; }
  let k = i / u.inner % u.d;
  var factor = 1.0;
  if (norm[k] != 0.0 && m[k] != norm[k]) { factor = m[k] / norm[k]; }
  y[i] = factor * x[i];
}
