// Networks that take large numbers, such as pixels from 0 to 255: in which units their first weights are trained.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "octet/graph.h"

namespace octet::training {

// The power of two nearest to an input's root mean square; 1 for inputs below 4, which need nothing, and for what is
// no number.
double unit_of_input(double root_mean_square);

// Parameters that are trained as u times themselves, by name. Weights that read an input of size u are u times
// smaller than others and have u times larger gradients: a learning rate that suits the rest takes them u^2 times too
// far (LeCun et al. 1998, "Efficient BackProp", 4.3). In these units the network is trained exactly as it would be
// with its input divided by u: weights and their ranges have u, ranges of the input 1 / u. In front of a batch
// normalization only the ranges have it: they are of the folded weights W * gamma / sigma, and sigma is u times
// larger, which leaves W and its gradient with the size that they have elsewhere. `input_units`: unit_of_input of
// each graph input.
std::map<std::string, double> parameter_units(const Graph& graph, const std::vector<double>& input_units);

}  // namespace octet::training
