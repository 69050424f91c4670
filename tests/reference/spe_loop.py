"""SPE in the layout of its published implementation: a loop over graphs, M looped phi, columns padded to the largest
graph.

Written from the description of that code, it shares the parameters of our networks: numbers must agree, in training
with `official_padding`, since batch statistics include padded eigenvalues and pairs here; and the time of a step is
what ours is compared with.
"""

import copy

import torch
from torch import nn
from torch.nn.functional import linear
from torch_geometric.utils import unbatch


class LoopedMLPPhi(nn.Module):
    """M perceptrons of their own, called one after the other on all eigenvalues, padding included."""

    def __init__(self, phi):
        super().__init__()
        self.functions = nn.ModuleList(self._function(phi, channel) for channel in range(phi.channels))

    @staticmethod
    def _function(phi, channel):
        modules = []
        for layer, grouped in enumerate(phi.linears):
            inputs, outputs = grouped.weight.shape[1:]
            single = nn.Linear(inputs, outputs, dtype=grouped.weight.dtype)
            single.weight.data.copy_(grouped.weight[channel].T)
            single.bias.data.copy_(grouped.bias[channel, 0])
            modules.append(single)
            if layer < len(phi.linears) - 1:
                if isinstance(phi.norms[layer], nn.BatchNorm1d):
                    norm, span = (
                        nn.BatchNorm1d(outputs, dtype=grouped.weight.dtype),
                        slice(channel * outputs, (channel + 1) * outputs),
                    )
                    for name, value in norm.state_dict().items():
                        source = phi.norms[layer].state_dict()[name]
                        value.copy_(source[span] if source.ndim else source)
                    modules.append(norm)
                modules.append(nn.ReLU())
        return nn.Sequential(*modules)

    def forward(self, eigvals):
        flat = eigvals.reshape(-1, 1)
        return torch.stack([function(flat).view(eigvals.shape) for function in self.functions], dim=-1)


def looped_deepsets(phi, eigvals, valid):
    """DeepSets functions one after the other, with the parameters of `zoo.spe.phi.DeepSetsPhi`: Z (B, d, M)."""
    results = []
    for channel in range(phi.channels):
        x = eigvals[:, :, None]
        for number, (own, total) in enumerate(zip(phi.own, phi.total, strict=True), start=1):
            summed = (x * valid[:, :, None] if phi.masked else x).sum(dim=1, keepdim=True)
            x = linear(x, own.weight[channel].T, own.bias[channel, 0]) + linear(summed, total.weight[channel].T)
            if number < len(phi.own) or phi.final_activation:
                x = phi.activation(x)
        results.append(x.squeeze(2))
    return torch.stack(results, dim=2)


def looped_attention(phi, eigvals):
    """Layers of bare self-attention, padding included, with the parameters of `zoo.spe.phi.TransformerPhi`."""
    results = []
    for channel in range(phi.channels):
        x = linear(eigvals[:, :, None], phi.embedding.weight[channel].T, phi.embedding.bias[channel, 0])
        for block in phi.blocks:
            attention = nn.MultiheadAttention(x.size(2), block.heads, batch_first=True, dtype=x.dtype)
            attention.in_proj_weight.data.copy_(block.query_key_value.weight[channel].T)
            attention.in_proj_bias.data.copy_(block.query_key_value.bias[channel, 0])
            attention.out_proj.weight.data.copy_(block.mix.weight[channel].T)
            attention.out_proj.bias.data.copy_(block.mix.bias[channel, 0])
            x = attention(x, x, x, need_weights=False)[0]
        results.append(linear(x, phi.output.weight[channel].T, phi.output.bias[channel, 0]).squeeze(2))
    return torch.stack(results, dim=2)


def looped_pair_tensor(z, eigvecs, batch):
    """W of each graph as V diag(Z_l) V^T, zero-padded to (n_max) columns: (N, n_max, M)."""
    blocks = []
    for graph, v in enumerate(unbatch(eigvecs, batch)):
        diagonal = torch.diag_embed(z[graph].T)  # (M, d, d)
        blocks.append((v @ diagonal @ v.T).permute(1, 2, 0))
    widest = max(block.size(1) for block in blocks)
    return torch.cat([nn.functional.pad(block, (0, 0, 0, widest - block.size(1))) for block in blocks])


class LoopedGINRho(nn.Module):
    """rho as a GIN on (N, n_max, M), columns masked before they are summed."""

    def __init__(self, rho):
        super().__init__()
        self.mlps = copy.deepcopy(rho.mlps)
        for mlp in self.mlps:
            for position, module in enumerate(mlp):
                mlp[position] = nn.ReLU() if isinstance(module, nn.ReLU) else module
        self.epsilon = nn.ParameterList(nn.Parameter(value.detach().clone()) for value in rho.epsilon)

    def forward(self, w, edge_index, batch):
        source, target = edge_index
        x = w
        for epsilon, mlp in zip(self.epsilon, self.mlps, strict=True):
            neighbors = torch.zeros_like(x).index_add_(0, target, x[source])
            x = self._flat(mlp, (1 + epsilon) * x + neighbors)
        mask = torch.cat([self._mask(batch, graph, x) for graph in range(int(batch.max()) + 1)])
        return (x * mask[:, :, None]).sum(dim=1)

    @staticmethod
    def _flat(mlp, x):
        return mlp(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    @staticmethod
    def _mask(batch, graph, x):
        size = int((batch == graph).sum())
        return (torch.arange(x.size(1)) < size).to(x.dtype).expand(size, -1)


class LoopedSPE(nn.Module):
    """`zoo.spe.encoding.SPE` with phi = "mlp" and rho = "gin", from whose parameters it starts."""

    def __init__(self, spe):
        super().__init__()
        self.phi = LoopedMLPPhi(spe.phi)
        self.rho = LoopedGINRho(spe.rho)

    def forward(self, batch):
        dtype = next(self.parameters()).dtype
        w = looped_pair_tensor(self.phi(batch.eigvals.to(dtype)), batch.eigvecs.to(dtype), batch.batch)
        return self.rho(w, batch.edge_index, batch.batch)


def looped_network(network):
    """Return a copy of an `SPEGINE` whose encodings are computed in the published layout."""
    looped = copy.deepcopy(network)
    looped.spe, pe_width = LoopedSPE(network.spe), network.spe.pe_width
    looped.spe.pe_width = pe_width
    return looped.train(network.training)
