// winograd_products_scalar.c: the plain twin of winograd_products.h: one product after the other.
#include "CKernels.h"

void ck_products_scalar(const ck_products *job, long lanes) {
    for (long component = 0; component < job->side * job->side; component++) {
        bool plain = component / job->side == 2 || component % job->side == 2;
        long channels = (plain ? job->plain_blocks : job->blocks) * lanes;
        long outputs = job->vectors * lanes;
        for (long tile = 0; tile < job->tile_count; tile++) {
            for (long output = 0; output < outputs; output++) {
                double sum = 0;
                for (long channel = 0; channel < channels; channel++) {
                    double v = job->tiles
                                   [component * job->tile_component_stride + channel / lanes * job->tile_block_stride
                                    + tile * lanes + channel % lanes];
                    sum += v * job->weights[(component * job->blocks * lanes + channel) * outputs + output];
                }
                job->products
                    [component * job->product_component_stride + output / lanes * job->product_vector_stride
                     + tile * lanes + output % lanes] = (float)sum;
            }
        }
    }
}
