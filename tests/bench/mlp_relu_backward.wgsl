// mlp_relu_backward: dz = dh where h > 0, in place. Grid one invocation a vec4; bindings 1 h, 2 dh, f32 [quads · 4].
struct Uniforms { quads: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> h: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dh: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < u.quads) { dh[id.x] = select(vec4f(), dh[id.x], h[id.x] > vec4f()); }
}
