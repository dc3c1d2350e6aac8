#include "report/layout.h"

#include <graphviz/gvc.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <mutex>

namespace octet::report {
namespace {

constexpr double kGapX = 18, kGapY = 26, kMargin = 12;

std::string number(double x) {
  char text[32];
  const int n = std::snprintf(text, sizeof text, "%.1f", x);
  return text[n - 1] == '0' ? std::string(text, static_cast<size_t>(n - 2)) : text;
}
std::string point(double x, double y) { return number(x) + "," + number(y); }

// An arrow head at (x, y) for a line that comes from (from_x, from_y).
std::string arrow(double from_x, double from_y, double x, double y) {
  const double length = std::max(1.0, std::hypot(x - from_x, y - from_y));
  const double dx = 7 * (x - from_x) / length, dy = 7 * (y - from_y) / length;
  return "M" + point(x - dx - dy / 2, y - dy + dx / 2) + "L" + point(x, y) + "L" +
         point(x - dx + dy / 2, y - dy - dx / 2);
}

void set(Agraph_t* g, int kind, const char* name, const char* value) {
  agattr(g, kind, const_cast<char*>(name), const_cast<char*>(value));
}

std::string spline(const Agedge_t* edge, double height) {
  const splines* s = ED_spl(const_cast<Agedge_t*>(edge));
  if (s == nullptr || s->size == 0 || s->list[0].size < 4) return {};
  std::string path;
  double x = 0, y = 0, before_x = 0, before_y = 0;
  for (size_t b = 0; b < static_cast<size_t>(s->size); ++b)
    for (size_t i = 0; i < static_cast<size_t>(s->list[b].size); ++i) {
      before_x = x;
      before_y = y;
      x = s->list[b].list[i].x + kMargin;
      y = height - s->list[b].list[i].y - kMargin;
      path += (i == 0 ? "M" : i % 3 == 1 ? "C" : " ") + point(x, y);
    }
  return path + arrow(before_x, before_y, x, y);
}

void style(Agraph_t* g) {
  set(g, AGRAPH, "nodesep", "0.25");
  set(g, AGRAPH, "ranksep", "0.35");
  set(g, AGRAPH, "nslimit", "4");
  set(g, AGRAPH, "nslimit1", "4");
  set(g, AGRAPH, "mclimit", "0.5");
  set(g, AGNODE, "shape", "box");
  set(g, AGNODE, "fixedsize", "true");
  set(g, AGNODE, "label", "");
  set(g, AGNODE, "width", std::to_string(kNodeWidth / 72).c_str());
  set(g, AGNODE, "height", std::to_string(kNodeHeight / 72).c_str());
  set(g, AGEDGE, "arrowhead", "none");
}

// dot gets numbers for names, so that nothing of a network's text reaches it.
bool lay_out_by_dot(size_t count, const std::vector<LayoutEdge>& edges, Layout* out) {
  static std::mutex one_at_a_time;  // Graphviz keeps state in globals
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  agseterrf([](char*) { return 0; });
  GVC_t* context = gvContext();
  Agraph_t* g = agopen(const_cast<char*>("network"), Agdirected, nullptr);
  style(g);
  std::vector<Agnode_t*> nodes;
  for (size_t i = 0; i < count; ++i) nodes.push_back(agnode(g, const_cast<char*>(std::to_string(i).c_str()), 1));
  std::vector<Agedge_t*> lines;
  for (const LayoutEdge& e : edges) lines.push_back(agedge(g, nodes[e.from], nodes[e.to], nullptr, 1));
  const bool done = gvLayout(context, g, "dot") == 0;
  if (done) {
    const boxf box = GD_bb(g);
    out->width = box.UR.x + 2 * kMargin;
    out->height = box.UR.y + 2 * kMargin;
    for (Agnode_t* n : nodes) out->nodes.emplace_back(ND_coord(n).x + kMargin, out->height - ND_coord(n).y - kMargin);
    for (const Agedge_t* e : lines) out->paths.push_back(spline(e, out->height));
    gvFreeLayout(context, g);
  }
  agclose(g);
  gvFreeContext(context);
  return done;
}

Layout lay_out_in_layers(size_t count, const std::vector<LayoutEdge>& edges) {
  std::vector<size_t> layer(count, 0);
  std::vector<LayoutEdge> sorted = edges;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.to < b.to; });
  for (const LayoutEdge& e : sorted) layer[e.to] = std::max(layer[e.to], layer[e.from] + 1);
  std::map<size_t, size_t> filled;
  Layout out;
  for (size_t i = 0; i < count; ++i) {
    const double x = static_cast<double>(filled[layer[i]]++), y = static_cast<double>(layer[i]);
    out.nodes.emplace_back(kMargin + kNodeWidth / 2 + x * (kNodeWidth + kGapX),
                           kMargin + kNodeHeight / 2 + y * (kNodeHeight + kGapY));
    out.width = std::max(out.width, out.nodes.back().first + kNodeWidth / 2 + kMargin);
    out.height = std::max(out.height, out.nodes.back().second + kNodeHeight / 2 + kMargin);
  }
  for (const LayoutEdge& e : edges) {
    const auto [x0, y0] = out.nodes[e.from];
    const auto [x1, y1] = out.nodes[e.to];
    const double begin = y0 + kNodeHeight / 2, end = y1 - kNodeHeight / 2, bend = (end - begin) / 2;
    out.paths.push_back("M" + point(x0, begin) + "C" + point(x0, begin + bend) + " " + point(x1, end - bend) + " " +
                        point(x1, end) + arrow(x1, end - bend, x1, end));
  }
  return out;
}

}  // namespace

Layout lay_out(size_t count, const std::vector<LayoutEdge>& edges) {
  Layout out;
  if (count == 0) return out;
  if (count <= kMostDotNodes && edges.size() <= 2 * kMostDotNodes && lay_out_by_dot(count, edges, &out)) return out;
  return lay_out_in_layers(count, edges);
}

}  // namespace octet::report
