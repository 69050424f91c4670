"""Files with the layout of published ones, and nothing of their content."""

FRAME = """3
Properties=species:S:1:pos:R:3:forces:R:3 energy={energy}
O 0.0 0.0 {height} 0.1 0.0 0.2
H 0.0 0.763 -0.477 0.0 0.1 0.0
C 0.0 -1.063 -0.477 -0.1 -0.1 -0.2
"""
ATOM = "1\nProperties=species:S:1:pos:R:3 energy={energy}\n{symbol} 0.0 0.0 0.0\n"


def frames(number, energy=-700.0):
    return "".join(FRAME.format(energy=energy - 0.01 * frame, height=0.1 + 1e-4 * frame) for frame in range(number))


def three_bpa(folder):
    """Write the files of 3BPA with its official tests, and return the words that lead to them."""
    root = folder / "3BPA"
    root.mkdir()
    (root / "train_300K.xyz").write_text(frames(70))
    for name in ("test_300K", "test_600K", "test_1200K", "test_dih"):
        (root / f"{name}.xyz").write_text(frames(4))
    atoms = {"H": -13.6, "C": -500.0, "N": -100.0, "O": -150.0}
    (root / "iso_atoms.xyz").write_text("".join(ATOM.format(symbol=symbol, energy=atoms[symbol]) for symbol in atoms))
    return ["--data.root", str(root), "--model.network_kwargs.channels", "4"]


def own_structures(folder):
    """Write a user's structures, and return the words that lead to them."""
    (folder / "own.xyz").write_text(frames(30))
    return ["--data.train_path", str(folder / "own.xyz"), "--model.network_kwargs.channels", "4"]
