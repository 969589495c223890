// affine: y = scale x + offset (+ y if accumulate)                       oracle: lib/reference/affine.ts
//
// Grid      one invocation per four elements, 64 a workgroup.
// Bindings  1 x f32 [n]   2 y f32 [n], both as vec4
struct Uniforms { quads: u32, accumulate: u32, scale: f32, offset: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.quads) { return; }
  var value = u.scale * x[i] + u.offset;
  if (u.accumulate == 1u) { value += y[i]; }
  y[i] = value;
}
