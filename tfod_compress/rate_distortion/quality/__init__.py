"""How far a decoded picture is from its source: full-reference metrics of uint8 RGB [H, W, 3] pairs.

    from tfod_compress.rate_distortion import quality
    quality.psnr_db(source, decoded)        # dB, over the three channels together
    quality.ms_ssim(source, decoded)        # 0 to 1, mean of the channels; None where the picture is too small
    quality.hvs_and_vmaf(source, [decoded]) # [(PSNR-HVS in dB, VMAF 0 to 100)], by ffmpeg's libvmaf
"""

from tfod_compress.rate_distortion.quality.libvmaf import hvs_and_vmaf
from tfod_compress.rate_distortion.quality.ms_ssim import ms_ssim
from tfod_compress.rate_distortion.quality.psnr import psnr_db

__all__ = ["hvs_and_vmaf", "ms_ssim", "psnr_db"]
