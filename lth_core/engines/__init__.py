"""Engines that train networks; each folder is one. The modules beside this folder hold the others for now."""
