// mlp_error: dp = 2 (p - y) / n and e = (p - y)² / n, whose sum is the loss. Grid one invocation a vec4; bindings 1 p,
// 2 y, 3 dp, 4 e, f32 [quads · 4].
struct Uniforms { quads: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> p: array<vec4f>;
@group(0) @binding(2) var<storage, read> y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dp: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> e: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= u.quads) { return; }
  let error = p[id.x] - y[id.x];
  dp[id.x] = 2 * u.scale * error;
  e[id.x] = u.scale * error * error;
}
