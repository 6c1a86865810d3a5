//! Multiples of P-256's base point, affine, in Montgomery form: of 2^(32 i) G, for each i, those by 1, 3, 5, … 15. Data, 4 KiB of it: the test
//! `multiples_of_the_base_point` computes it anew with other people's arithmetic.

use super::{Field, Point, SPLITS};

/// Odd multiples, of each of the [`SPLITS`] points.
pub(super) const ODD: usize = 8;

/// [x, y].
const fn point(x: [u64; 4], y: [u64; 4]) -> Point {
    Point { x: Field(x), y: Field(y) }
}

#[rustfmt::skip]
pub(super) static MULTIPLES: [[Point; ODD]; SPLITS] = [
    [
        point(
            [0x79e7_30d4_18a9_143c, 0x75ba_95fc_5fed_b601, 0x79fb_732b_7762_2510, 0x1890_5f76_a537_55c6],
            [0xddf2_5357_ce95_560a, 0x8b4a_b8e4_ba19_e45c, 0xd2e8_8688_dd21_f325, 0x8571_ff18_2588_5d85],
        ),
        point(
            [0xffac_3f90_4eeb_c127, 0xb027_f84a_087d_81fb, 0x66ad_77dd_87cb_bc98, 0x2693_6a3f_b6ff_747e],
            [0xb04c_5c1f_c983_a7eb, 0x583e_47ad_0861_fe1a, 0x7882_0831_1a2e_e98e, 0xd5f0_6a29_e587_cc07],
        ),
        point(
            [0xbe1b_8aae_c45c_61f5, 0x90ec_649a_94b9_537d, 0x941c_b5aa_d076_c20c, 0xc907_9605_8905_23c8],
            [0xeb30_9b4a_e7ba_4f10, 0x73c5_68ef_e5eb_882b, 0x3540_a987_7e7a_1f68, 0x73a0_76bb_2dd1_e916],
        ),
        point(
            [0x0746_354e_a017_3b4f, 0x2bd2_0213_d23c_00f7, 0xf43e_aab5_0c23_bb08, 0x13ba_5119_c312_3e03],
            [0x2847_d030_3f5b_9d4d, 0x6742_f2f2_5da6_7bdd, 0xef93_3bdc_77c9_4195, 0xeaed_d915_6e24_0867],
        ),
        point(
            [0x75c9_6e8f_264e_20e8, 0xabe6_bfed_59a7_a841, 0x2cc0_9c04_44c8_eb00, 0xe05b_3080_f0c4_e16b],
            [0x1eb7_777a_a45f_3314, 0x56af_7bed_ce5d_45e3, 0x2b6e_019a_88b1_2f1a, 0x0866_59cd_fd83_5f9b],
        ),
        point(
            [0xea7d_260a_6245_e404, 0x9de4_0795_6e7f_dfe0, 0x1ff3_a415_8dac_1ab5, 0x3e70_90f1_649c_9073],
            [0x1a76_8561_2b94_4e88, 0x250f_939e_e57f_61c8, 0x0c0d_aa89_1ead_643d, 0x6893_0023_e125_b88e],
        ),
        point(
            [0xccc4_2563_4b2e_d709, 0x0e35_6769_856f_d30d, 0xbcbc_d43f_559e_9811, 0x7384_77ac_5395_b759],
            [0x3575_2b90_c00e_e17f, 0x6874_8390_742e_d2e3, 0x7cd0_6422_bd1f_5bc1, 0xfbc0_8769_c9e7_b797],
        ),
        point(
            [0x72bc_d8b7_bc60_055b, 0x03cc_23ee_56e2_7e4b, 0xee33_7424_e481_9370, 0xe2aa_0e43_0ad3_da09],
            [0x40b8_524f_6383_c45d, 0xd766_3554_42a4_1b25, 0x64ef_a6de_778a_4797, 0x2042_170a_7079_adf4],
        ),
    ],
    [
        point(
            [0x2028_8602_4147_519a, 0xd098_1eac_26b3_72f0, 0xa9d4_a7ca_a785_ebc8, 0xd953_c50d_dbdf_58e9],
            [0x9d63_61cc_fd59_0f8f, 0x72e9_626b_44e6_c917, 0x7fd9_6110_22eb_64cf, 0x863e_bb7e_9eb2_88f3],
        ),
        point(
            [0xa18f_07e0_e90f_b21e, 0x00fd_2b80_bba7_fca1, 0x2038_7f27_95cd_67b5, 0x5b89_a4e7_d397_07f7],
            [0x8f83_ad3f_8944_07ce, 0xa002_5b94_6c22_6132, 0xc795_63c7_f906_c13b, 0x5f54_8f31_4e7b_b025],
        ),
        point(
            [0xc1b3_d3d3_31b8_5f09, 0x0f45_354a_a88a_e64a, 0xa8b6_26d3_2fec_50fd, 0x1bdc_fbd4_e828_834f],
            [0xe45a_2866_cd52_2539, 0xfa9d_4732_810f_7ab3, 0xd8c1_d6b4_c905_f293, 0x10ac_8047_3461_b597],
        ),
        point(
            [0xbbb1_7514_6fc6_27e2, 0xa056_9bc5_9157_3a51, 0xa701_6d9e_3582_43d5, 0x0dac_0c56_ac1d_6692],
            [0x9938_33b5_da59_0d5f, 0xa806_7803_de81_7491, 0x65b4_f212_4dbf_75d0, 0xcc96_0232_ccf8_0cfb],
        ),
        point(
            [0x35d7_4280_6cf3_d65b, 0x4b7c_7906_78b2_8dd9, 0xc4fc_dd2f_95e1_f85f, 0xcf6f_b7ba_5913_50b6],
            [0x9f8e_3287_edfc_26af, 0xe2dd_9e73_c2d0_ed9a, 0xeab5_d67f_24cb_b703, 0x60c2_9399_9a75_9a5a],
        ),
        point(
            [0xfb93_ca3d_7ca5_3d5f, 0x4326_49f0_0437_9cbf, 0xf506_113a_cba2_ff75, 0x4594_ae21_0371_8b35],
            [0x1aa6_cee5_0d04_4627, 0xc0e0_d2b7_f5c9_4aa2, 0x0bf3_3d3d_ee4d_d3f5, 0xaca9_6e28_8477_c97a],
        ),
        point(
            [0x995c_068e_6861_a713, 0xa9ba_3394_63de_88dc, 0xab95_4344_689a_964f, 0x5819_5aec_0f5a_0d6c],
            [0xc5f2_07d5_c98f_8b50, 0x6600_cd28_0c98_ccf6, 0x1a68_0fe3_39c3_e6c2, 0xa23f_3931_660e_87c0],
        ),
        point(
            [0x43bc_1b42_c784_40a1, 0x9a07_e226_32ac_6c3f, 0xaf3d_7ba1_0f4b_cd15, 0x3ad4_3c9d_a368_14c6],
            [0xca11_f742_a0c9_c162, 0xd3e0_6fc6_c90b_96ec, 0xeace_6e76_6bf2_d03f, 0x8bcd_98e8_f803_2795],
        ),
    ],
    [
        point(
            [0x4f92_2fc5_16a0_d2bb, 0x0d5c_c16c_1a62_3499, 0x9241_cf3a_57c6_2c8b, 0x2f5e_6961_fd1b_667f],
            [0x5c15_c70b_f5a0_1797, 0x3d20_b44d_6095_6192, 0x0491_1b37_071f_db52, 0xf648_f916_8d6f_0f7b],
        ),
        point(
            [0x4090_914b_b5de_f996, 0x1cb6_9c83_233d_d1e7, 0xc1e9_c1d3_9b3d_5e76, 0x1f33_38ed_fccf_6012],
            [0xb1e9_5d0d_2f53_78a8, 0xacf4_c2c7_2f00_cd21, 0x6e98_4240_eb5f_e290, 0xd66c_038d_2480_88ae],
        ),
        point(
            [0xd499_2b30_614c_0900, 0xda98_d121_bd00_c24b, 0x7f53_4dc8_7ec4_bfa1, 0x4a5f_f674_37dc_34bc],
            [0x68c1_96b8_1d7e_a1d7, 0x38cf_2893_80a6_d208, 0xfd56_cd09_e3cb_bd6e, 0xec72_e27e_4205_a5b6],
        ),
        point(
            [0xe8b9_7932_b887_56dd, 0xed4e_8652_f17e_3e61, 0xc2dd_1499_3ee1_c4a4, 0xc0aa_ee17_597f_8c0e],
            [0x15c4_edb9_6c16_8af3, 0x6563_c7bf_b39a_e875, 0xadfa_db6f_20ad_b436, 0xad55_e8c9_9a04_2ac0],
        ),
        point(
            [0x65c2_9219_9095_23c8, 0xa62f_648f_a3a1_c741, 0x8859_8d4f_60c9_e55a, 0xbce9_141b_0e4f_347a],
            [0x9af9_7d84_35f9_b988, 0x0210_da62_3204_75b6, 0x3c07_6e22_9191_476c, 0x7520_dbd9_44fc_7834],
        ),
        point(
            [0x6643_00b0_7850_ec06, 0xac5a_38b9_7d3a_10cf, 0x9233_188d_e34a_b39d, 0xe770_57e4_5072_cbb9],
            [0xbcf0_c042_b59e_78df, 0x4cfc_91e8_1d97_de52, 0x4661_a26c_3ee0_ca4a, 0x5620_a4c1_fb85_07bc],
        ),
        point(
            [0x84b9_ca15_04b6_c5a0, 0x3521_6f39_18f0_e3a3, 0x3ec2_d2bc_bd98_6c00, 0x8bf5_46d9_d192_28fe],
            [0xd1c6_55a4_4cd6_23c3, 0x366c_e718_502b_8e5a, 0x2cfc_84b4_eea0_bfe7, 0xe01d_5cee_cf44_3e8e],
        ),
        point(
            [0xa75f_eaca_be06_3f64, 0x9b39_2f43_bce4_7a09, 0xd424_1509_1ad0_7aca, 0x4b0c_591b_8d26_cd0f],
            [0x2d42_ddfd_92f1_169a, 0x63ae_b1ac_4cbf_2392, 0x1de9_e877_0691_a2af, 0xebe7_9af7_d980_21da],
        ),
    ],
    [
        point(
            [0x4fe7_ee31_b0e6_3d34, 0xf460_0572_a9e5_4fab, 0xc049_3334_d5e7_b5a4, 0x8589_fb92_06d5_4831],
            [0xaa70_f5cc_6583_553a, 0x0879_094a_e256_49e5, 0xcc90_4507_1004_4652, 0xebb0_696d_0254_1c4f],
        ),
        point(
            [0xb99f_0e03_9937_5235, 0x7614_c847_b991_7970, 0xfec9_3ce9_524e_c067, 0xe40e_7bf8_9b12_2520],
            [0xb567_0631_ee4c_4774, 0x6f03_847a_3b04_914c, 0xc96e_9429_dc9d_d226, 0x4348_9b6c_8c57_c1f8],
        ),
        point(
            [0x46ff_d227_cc23_38fb, 0x89ff_6fa9_90e2_6153, 0xbe57_0779_331a_0076, 0x43d2_41c5_06e1_f3af],
            [0xfdcd_b97d_de9b_62a3, 0x6a06_e984_a0ae_30ea, 0xc9bf_1680_4fbd_df7d, 0x1704_71a2_d361_63c4],
        ),
        point(
            [0x3616_19e4_5595_0cc3, 0xc71d_665c_56b6_6bb8, 0xea03_4b34_afac_6d84, 0xa987_f832_e5e4_c7e3],
            [0xa074_2772_7a79_a6a7, 0x56e5_d017_e26d_6c23, 0x7e50_b976_3816_7e10, 0xaa6c_81ef_e88a_a84e],
        ),
        point(
            [0x4739_59d7_4d32_5bbf, 0x2a61_beec_8d61_14b9, 0x2567_2a94_924b_e2ee, 0xa485_95db_f2c2_3d0c],
            [0xe476_848b_6a22_1838, 0xe743_e69a_35c1_b673, 0x2ab4_2499_d846_8503, 0x62aa_0054_e9e9_0ba7],
        ),
        point(
            [0xbdfb_2717_73a9_04e0, 0x7ce1_e40b_2888_8d73, 0x2e7e_35f6_eaa9_7d1b, 0xd061_772a_a9af_a097],
            [0x434a_c7c4_7a1f_7c59, 0x6e21_124a_e79b_7b9a, 0x055a_cff3_bb22_ecc7, 0x8bfd_7ac9_84c8_58d3],
        ),
        point(
            [0x2fd5_7df5_9f1f_68ad, 0x5ddc_c6db_b064_70c8, 0x801b_6451_a9b4_7307, 0x6b51_c8e3_7655_1bf4],
            [0xef0b_d1f7_d44e_1da9, 0x714b_cb1d_4d4e_600c, 0xc57b_b9e4_0c65_40c7, 0x71bd_1ec2_327c_c644],
        ),
        point(
            [0x9a52_cf7e_7f4d_d81f, 0xa013_2be1_5e69_c05e, 0x90da_b747_2a0f_4d72, 0xc142_f911_312d_6706],
            [0xe8d3_631f_8261_998b, 0xf0f4_2fae_615c_1c94, 0x2f4e_948c_aec3_fa5d, 0x242a_e7a8_a374_101e],
        ),
    ],
    [
        point(
            [0x62a8_c244_bfe2_0925, 0x91c1_9ac3_8fdc_e867, 0x5a96_a5d5_dd38_7063, 0x61d5_87d4_21d3_24f6],
            [0xe876_73a2_a371_73ea, 0x2384_8008_5377_8b65, 0x10f8_441e_05ba_b43e, 0xfa11_fe12_4621_efbe],
        ),
        point(
            [0xc0f7_34a3_b233_5834, 0x9526_205a_90ef_6860, 0xcb8b_e717_04e2_bb0d, 0x2418_871e_02f3_83fa],
            [0xd717_7681_4082_c157, 0xcc91_4ad0_29c2_0073, 0xf186_c1eb_e587_e728, 0x6fdb_3c22_61bc_d5fd],
        ),
        point(
            [0xcc7c_4c1c_2cf9_d7c1, 0x1320_886a_ee95_e5ab, 0xbb7b_9056_beae_170c, 0xc8a5_b250_dbc0_d662],
            [0x4ed8_1432_c11d_2303, 0x7da6_6912_1f03_769f, 0x3ac7_a5fd_8453_9828, 0x14da_da94_3bcc_dd02],
        ),
        point(
            [0x51b9_0651_cbae_2f70, 0xefc4_bc05_93aa_a8eb, 0x8ecd_8689_dd1d_f499, 0x1aee_99a8_22f3_67a5],
            [0x95d4_85b9_ae82_74c5, 0x6c14_d445_7d30_b39c, 0xbafe_a90b_bcc1_ef81, 0x7c5f_317a_a459_a2ed],
        ),
        point(
            [0x410d_c6a9_0dee_af52, 0xb003_fb02_4c64_1c15, 0x1384_978c_5bc5_04c4, 0x3764_0487_864a_6a77],
            [0x0599_1bc6_222a_77da, 0x6226_0a57_5e47_eb11, 0xc7af_6613_f21b_432c, 0x22f3_acc9_ab49_53e9],
        ),
        point(
            [0x0d09_4277_0c24_efc8, 0x0349_fd04_bef7_37a4, 0x6d1c_9dd2_514c_dd28, 0x29c1_35ff_30da_9521],
            [0xea6e_4508_f78b_0b6f, 0x176f_5dd2_678c_143c, 0x0814_8418_4be2_1e65, 0x27f7_525c_e7df_38c4],
        ),
        point(
            [0x9faa_ccf5_e465_2f1d, 0xbd6f_dd2a_d561_57b2, 0xa4f4_fb1f_6261_ec50, 0x244e_55ad_476b_cd52],
            [0x881c_9305_047d_320b, 0x1ca9_83d5_6181_263f, 0x354e_9a44_278f_b8ee, 0xad2d_bc0f_396e_4964],
        ),
        point(
            [0xfce0_1767_88a2_ffe4, 0xdc50_6a35_28e1_69a5, 0x0ea1_0861_7af9_c93a, 0x1ed2_4361_03fa_0e08],
            [0x96ea_aa92_a3d6_94e7, 0xc0f4_3b4d_ef50_bc74, 0xce6a_a58c_6411_4db4, 0x8218_e8ea_7c00_0fd4],
        ),
    ],
    [
        point(
            [0xd433_e50f_6d35_49cf, 0x6f33_696f_facd_665e, 0x695b_fdac_ce11_fcb4, 0x810e_e252_af7c_9860],
            [0x6545_0fe1_7159_bb2c, 0xf7df_bebe_758b_357b, 0x2b05_7e74_d69f_ea72, 0xd485_717a_9273_1745],
        ),
        point(
            [0x6c8d_0aa9_b898_fd52, 0x2fb3_8a57_be9a_f1a7, 0xe1f2_b9a9_3b4f_03f8, 0x2b1a_ad44_c3f0_cc6f],
            [0x58b5_332e_7cf2_c084, 0x1c57_d96f_0367_d26d, 0x2297_eabd_fa6e_4a8d, 0x65a9_47ee_4a0e_2b6a],
        ),
        point(
            [0xf535_b616_fdd5_b854, 0x5925_49c8_5728_719f, 0xe231_4686_0692_1cad, 0x98c8_ce34_311b_1ef8],
            [0x28b9_37e7_e909_0b36, 0x67fc_3ab9_0bf7_bbb7, 0x1233_7097_a9d8_7974, 0x3e5a_dca1_f970_e3fe],
        ),
        point(
            [0xcdcc_68a7_b3f8_5ff0, 0xacd2_1cdd_1a88_8044, 0xb671_9b2e_05db_e894, 0xfae1_d3d8_8b82_60d4],
            [0xedfe_dece_8a1c_5d92, 0xbca0_1a94_dc52_077e, 0xc085_549c_16dd_13ed, 0xdc5c_3bae_495e_baad],
        ),
        point(
            [0xcc17_063f_be7b_643a, 0x7872_e1c8_4608_5760, 0x86b0_fffb_b421_4c9e, 0xb18b_bc0e_72bf_3638],
            [0x8b17_de0c_7225_91c9, 0x1ede_ab19_48c2_9e0c, 0x9fbf_d98e_f430_4f20, 0x2d1d_bb6b_9c77_ffb6],
        ),
        point(
            [0x2556_16d3_c714_1771, 0xa866_91ab_2f22_6b66, 0xda19_fea4_b3ca_63a9, 0xfc05_dc42_ae67_2f2b],
            [0xa9c6_e786_718b_a28f, 0x07b7_995b_9c66_b984, 0x0f43_4f55_1b37_02f2, 0xd6f6_212f_da84_eeff],
        ),
        point(
            [0x4b0e_7987_b5b4_1d78, 0xea7d_f907_4bf0_c4f8, 0xb4d0_3560_fab8_0ecd, 0x6cf3_06f6_fb1d_b7e5],
            [0x0d59_fb56_89fd_4773, 0xab25_4f40_00f9_be33, 0x18a0_9a92_7735_2da4, 0xf818_62f5_641e_a3ef],
        ),
        point(
            [0xb59b_0157_9f75_9d01, 0xa292_3d2f_7eae_4fde, 0x1832_7757_690b_a8c0, 0x4bf7_e38b_44f5_1443],
            [0xb681_2563_b413_fc26, 0xedb7_d363_79e5_3b36, 0x4fa5_85c4_c389_f66d, 0x8e1a_dc31_54bd_3416],
        ),
    ],
    [
        point(
            [0x56f8_410e_f4f8_b16a, 0x9724_1afe_c47b_266a, 0x0a40_6b8e_6d9c_87c1, 0x803f_3e02_cd42_ab1b],
            [0x7f03_09a8_04db_ec69, 0xa83b_85f7_3bba_d05f, 0xc609_7273_ad8e_197f, 0xc097_440e_5067_adc1],
        ),
        point(
            [0x2663_44a4_3794_f8dc, 0xdcca_923a_483c_5c36, 0x2d6b_6bbf_3f9d_10a0, 0xb320_c5ca_81d9_bdf3],
            [0x620e_28ff_47b5_0a95, 0x933e_3b01_cef0_3371, 0xf081_bf85_9910_0153, 0x183b_e9a0_c3a8_c8d6],
        ),
        point(
            [0x2547_0fab_e085_116b, 0x04a4_3375_8728_5310, 0x4e39_187e_e2bf_d52f, 0x3616_6b44_7d9e_bc74],
            [0x92ad_433c_fd4b_322c, 0x726a_a817_ba79_ab51, 0xf96e_acd8_c1db_15eb, 0xfaf7_1e91_0476_be63],
        ),
        point(
            [0x72cf_d2e9_49de_e168, 0x1ae0_5223_3e2a_f239, 0x009e_75be_1d94_066a, 0x6cca_31c7_38ab_f413],
            [0xb50b_d61d_9bc4_9908, 0x4a9b_4a8c_f5e2_bc1e, 0xeb6c_c5f7_946f_83ac, 0x27da_93fc_ebff_ab28],
        ),
        point(
            [0x3ce5_19ef_7625_7c51, 0x6f58_18d3_18d4_77e7, 0xab02_2e03_7963_edc0, 0xf040_3a89_8bd1_f5f3],
            [0xe43b_8da0_4960_33ca, 0x0994_e10e_a1cf_dd72, 0xb1ec_6d20_ba73_c0e2, 0x0329_c9ec_b6bc_fad1],
        ),
        point(
            [0xbdec_338e_3318_d2d4, 0x733d_d7bb_be8d_e963, 0x61bc_c3ba_a2c4_7ebd, 0xa821_ad19_35ef_cbde],
            [0x91ac_668c_024c_dd5c, 0x7ba5_58e4_c1cd_fa49, 0x491d_4ce0_908f_b4da, 0x7ba8_69f9_f685_bde8],
        ),
        point(
            [0xed1b_5ec2_79f4_64ba, 0x2d65_e42c_47d7_2e26, 0x8198_e574_9e67_f926, 0x4106_6738_3474_7e44],
            [0x4637_acc1_e37e_5447, 0x02cb_c9ec_f3e1_5822, 0x58a8_e98e_805a_a83c, 0x73fa_cd6e_5595_e800],
        ),
        point(
            [0x468f_f803_3833_0507, 0x06f3_4ddf_4037_a53e, 0x70cd_1a40_8d69_93a4, 0xf85a_1597_43e5_c022],
            [0x396f_c9c2_c125_a67d, 0x03b7_bebf_1064_bfcb, 0x7c44_4592_a980_6dcb, 0x1b02_614b_4487_cd54],
        ),
    ],
    [
        point(
            [0xe341_7bc0_35d0_b34a, 0x440b_386b_8327_c0a7, 0x8fb7_262d_ac03_62d1, 0x2c41_114c_e0cd_f943],
            [0x2ba5_cef1_ad95_a0b1, 0xc09b_37a8_67d5_4362, 0x26d6_cdd2_01e4_86c9, 0x2047_7abf_42ff_9297],
        ),
        point(
            [0x126f_35b5_1e70_6ad9, 0xb99c_ebb4_c3a9_ebdf, 0xa753_89af_bf60_8d90, 0x7611_3c4f_c6c8_9858],
            [0x80de_8eb0_97e2_b5aa, 0x7e10_22cc_63b9_1304, 0x3bda_b605_6ccc_066c, 0x33cb_b144_b2ed_f900],
        ),
        point(
            [0x157a_f101_dace_5aca, 0xc4fd_bcf2_11a6_a267, 0xdadd_f340_c49c_8609, 0x97e4_9f52_e960_4a65],
            [0x9be8_e790_937e_2ad5, 0x846e_2508_326e_17f1, 0x3f38_007a_0bbb_c0dc, 0xcf03_603f_b11e_16d6],
        ),
        point(
            [0x5ed0_c007_f8ae_7c38, 0x6db0_7a5c_3d74_0192, 0xbe5e_9c2a_5fe3_6db3, 0xd5b9_d57a_76e9_5046],
            [0x54ac_32e7_8eba_20f2, 0xef11_ca8f_71b9_a352, 0x305e_373e_ff98_a658, 0xffe5_a100_823e_b667],
        ),
        point(
            [0x5c8e_d8d5_da64_309d, 0x61a6_de56_91b3_0704, 0xd6b5_2f6a_2f9b_5808, 0x0eee_4194_98c9_58a7],
            [0xcddd_9aab_771e_4caa, 0x8396_5dfd_78bc_21be, 0x02af_fce3_b3b5_04f5, 0x3084_7a21_561c_8291],
        ),
        point(
            [0xb9d1_8cd3_6613_1e2e, 0xf31d_974f_80fe_2682, 0xb6e4_9e0f_e416_0289, 0x7c48_ec0b_08e9_2799],
            [0x8181_11d8_d198_9aa7, 0xb34f_a0aa_ebf9_26f9, 0xdb5f_e2f5_a245_474a, 0xf80a_6ebb_3c7c_a756],
        ),
        point(
            [0x8ea6_1059_3de9_abe3, 0x4043_4881_9cdc_03be, 0x9b26_1245_cfed_ce8c, 0x78c3_18b4_cf52_34a1],
            [0x510b_cf16_fde2_4c99, 0x2a77_cb75_a2c2_ff5d, 0x9c89_5c2b_2796_0fb4, 0xd30c_e975_b0ed_a42b],
        ),
        point(
            [0x0952_1177_ff57_d051, 0x2ff3_8037_fb6a_1961, 0xfc0a_ba74_a3d7_6ad4, 0x7c76_4803_25a7_ec17],
            [0x7532_d75f_4887_9bc8, 0xea7e_acc0_58ce_6bc1, 0xc821_76b4_8e89_6c16, 0x9a30_e0b2_2c75_0fed],
        ),
    ],
];
