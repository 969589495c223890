// activation_backward: dx = dy φ'(x)                                     oracle: lib/reference/activation.ts
//
// Grid      one invocation per four elements, 64 a workgroup.
// Bindings  1 x f32 [n]   2 dy f32 [n]   3 dx f32 [n], all as vec4
// Text      slope(x), whose share and turn make φ'(x), stands before it
struct Uniforms { quads: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.quads) { return; }
  let s = slope(x[i]);
  dx[i] = dy[i] * s.share * s.turn;
}
