// mlp_relu: h = max(z, 0). Grid one invocation a vec4; bindings 1 z, 2 h, f32 [quads · 4].
struct Uniforms { quads: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> z: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> h: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < u.quads) { h[id.x] = max(z[id.x], vec4f()); }
}
