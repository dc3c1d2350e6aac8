// One function per network; each file says what it follows and how the weights begin.
#pragma once

#include "zoo/builder.h"

namespace octet::zoo {

void build_resnet18(Builder& b);
void build_resnet34(Builder& b);
void build_resnet50(Builder& b);
void build_resnet20_cifar(Builder& b);
void build_resnet56_cifar(Builder& b);
void build_mobilenet_v2(Builder& b);
void build_mobilenet_v2_cifar(Builder& b);
void build_mobilenet_v3_small(Builder& b);
void build_mobilenet_v3_large(Builder& b);
void build_efficientnet_b0(Builder& b);
void build_repvgg_a0(Builder& b);
void build_qarepvgg_a0(Builder& b);
void build_vgg11_bn(Builder& b);
void build_vgg16_bn(Builder& b);
void build_vit_tiny(Builder& b);
void build_yolo_nano(Builder& b);
void build_unet_small(Builder& b);

}  // namespace octet::zoo
